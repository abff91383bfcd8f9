"""Decoding of every odd kind of file; PLAIN means equal pixels in TensorFlow and Pillow."""

import io
import struct

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from burn_tf.data import images


@pytest.fixture(scope="module")
def picture():
    """A smooth RGB picture of 20 x 28."""
    y, x = np.mgrid[:20, :28]
    values = 128 + 100 * np.stack([np.sin(x / 6), np.cos(y / 4), np.sin((x + y) / 5)], -1)
    return values.astype(np.uint8)


def encoded(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def exif(orientation):
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


def xmp(orientation):
    text = (
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="{orientation}"/>'
    )
    return text.encode() + b"</x:xmpmeta>"


PLAIN = {
    "jpeg": lambda p: encoded(Image.fromarray(p), "JPEG", quality=90),
    "jpeg 4:4:4": lambda p: encoded(Image.fromarray(p), "JPEG", quality=95, subsampling=0),
    "jpeg grey": lambda p: encoded(Image.fromarray(p).convert("L"), "JPEG"),
    "jpeg progressive": lambda p: encoded(Image.fromarray(p), "JPEG", progressive=True),
    "jpeg upright exif": lambda p: encoded(Image.fromarray(p), "JPEG", exif=exif(1)),
    "png": lambda p: encoded(Image.fromarray(p), "PNG"),
    "png grey": lambda p: encoded(Image.fromarray(p).convert("L"), "PNG"),
}
ODD = {
    "jpeg cmyk": lambda p: encoded(Image.fromarray(p).convert("CMYK"), "JPEG"),
    "jpeg turned by exif": lambda p: encoded(Image.fromarray(p), "JPEG", exif=exif(6)),
    "jpeg turned by xmp": lambda p: encoded(Image.fromarray(p), "JPEG", xmp=xmp(6)),
    "png rgba": lambda p: encoded(Image.fromarray(p).convert("RGBA"), "PNG"),
    "png grey alpha": lambda p: encoded(Image.fromarray(p).convert("LA"), "PNG"),
    "png palette": lambda p: encoded(Image.fromarray(p).quantize(16), "PNG"),
    "png bilevel": lambda p: encoded(Image.fromarray(p).convert("1"), "PNG"),
    "png transparent colour": lambda p: encoded(Image.fromarray(p), "PNG", transparency=(1, 2, 3)),
    "png turned by exif": lambda p: encoded(Image.fromarray(p), "PNG", exif=exif(8)),
    "gif": lambda p: encoded(Image.fromarray(p), "GIF"),
    "bmp": lambda p: encoded(Image.fromarray(p), "BMP"),
    "webp": lambda p: encoded(Image.fromarray(p), "WEBP", lossless=True),
    "tiff": lambda p: encoded(Image.fromarray(p), "TIFF"),
    "ppm": lambda p: encoded(Image.fromarray(p), "PPM"),
}
ALL = PLAIN | ODD


@pytest.mark.parametrize("name", ALL)
def test_header_tells_kind_and_size(picture, name):
    header = images.read_header(ALL[name](picture))
    assert header.kind == (images.PLAIN if name in PLAIN else images.ODD)
    turned = "turned" in name
    assert (header.height, header.width) == ((28, 20) if turned else (20, 28))


@pytest.mark.parametrize("name", PLAIN)
def test_tensorflow_and_pillow_agree_on_plain_files(picture, name):
    data = PLAIN[name](picture)
    found = images.decode_tensor(tf.constant(data)).numpy()
    np.testing.assert_array_equal(found, images.decode(data))
    assert images.probe_tensor(tf.constant(data)) > 0


@pytest.mark.parametrize("name", ALL)
def test_graph_gives_what_pillow_gives(picture, name):
    data = ALL[name](picture)
    kind = images.read_header(data).kind
    found = tf.function(images.decode_tensor)(tf.constant(data), tf.constant(kind)).numpy()
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, images.decode(data))


@pytest.mark.parametrize("name", ["png", "bmp", "webp", "tiff", "ppm", "png rgba"])
def test_lossless_files_come_back(picture, name):
    np.testing.assert_array_equal(images.decode(ALL[name](picture)), picture)


def test_grey_is_the_same_in_all_channels(picture):
    found = images.decode(ALL["png grey alpha"](picture))
    wanted = np.asarray(Image.fromarray(picture).convert("L"))
    np.testing.assert_array_equal(found, np.repeat(wanted[..., None], 3, axis=2))


def test_cmyk_is_near_the_original(picture):
    found = images.decode(ALL["jpeg cmyk"](picture)).astype(float)
    assert np.abs(found - picture).mean() < 6


@pytest.mark.parametrize("name", ["jpeg turned by exif", "jpeg turned by xmp"])
def test_orientation_6_is_a_quarter_turn_clockwise(picture, name):
    found = images.decode(ALL[name](picture)).astype(float)
    upright = images.decode(ALL["jpeg"](picture)).astype(float)
    assert np.abs(found - np.rot90(upright, -1)).mean() < 5
    assert np.abs(found - np.rot90(upright, 1)).mean() > 30


def test_first_frame_of_an_animation(picture):
    frames = [Image.fromarray(picture).quantize(8), Image.fromarray(255 - picture).quantize(8)]
    for kind in ("GIF", "PNG", "WEBP"):
        options = {"lossless": True} if kind == "WEBP" else {}
        data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
        assert images.read_header(data).kind == images.ODD
        found = images.decode(data).astype(float)
        assert np.abs(found - np.asarray(frames[0].convert("RGB"))).mean() < 1


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bits_are_scaled_not_cut(kind):
    deep = np.linspace(0, 65535, 20 * 28).reshape(20, 28).astype(np.uint16)
    data = encoded(Image.fromarray(deep), kind)
    assert images.read_header(data).kind == images.ODD
    found = images.decode(data)
    np.testing.assert_array_equal(found[..., 0], np.rint(deep / 257).astype(np.uint8))
    np.testing.assert_array_equal(found[..., 1], found[..., 2])


def test_dark_16_bits_stay_dark():
    data = encoded(Image.fromarray(np.full([4, 4], 200, np.uint16)), "PNG")
    assert images.decode(data).max() == 1


@pytest.mark.parametrize("top", [1.0, 255.0])
def test_floating_point_tiff(top):
    values = np.linspace(0, top, 12, dtype=np.float32).reshape(3, 4)
    found = images.decode(encoded(Image.fromarray(values), "TIFF"))
    np.testing.assert_array_equal(found[..., 0], np.rint(values * 255 / top))


def test_header_behind_a_long_profile(picture):
    data = encoded(Image.fromarray(picture), "JPEG", icc_profile=bytes(100_000))
    with pytest.raises(ValueError, match="Error"):
        images.read_header(data[:65536])
    assert images.read_header(data).kind == images.PLAIN


@pytest.mark.parametrize(
    "data", [b"", b"words, no picture", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", bytes(500)]
)
def test_no_image_at_all(data):
    with pytest.raises(ValueError, match="empty file" if not data else "no image in any"):
        images.read_header(data)
    with pytest.raises(ValueError, match="empty file" if not data else "no image in any"):
        images.decode(data)


@pytest.mark.parametrize("name", ["jpeg", "png", "gif", "tiff", "bmp", "webp"])
def test_truncated_files_are_refused(picture, name):
    data = ALL[name](picture)
    with pytest.raises(ValueError, match="Error"):
        images.decode(data[: len(data) * 2 // 3])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ALL)
def test_damage_is_a_value_error_or_an_image(picture, name):
    """Random bytes overwritten: a ValueError may come out, and no other."""
    data = ALL[name](picture)
    generator = np.random.default_rng(len(data))
    refused = 0
    for _ in range(60):
        broken = bytearray(data)
        for position in generator.integers(0, len(data), 8):
            broken[position] = generator.integers(0, 256)
        try:
            header = images.read_header(bytes(broken))
            if header.height * header.width > 2**24:
                continue
            found = images.decode(bytes(broken))
        except ValueError:
            refused += 1
        else:
            assert found.dtype == np.uint8
            assert found.ndim == 3
    if name.startswith("png"):
        assert refused > 0  # its checksums notice


def test_png_header_that_ends_early():
    data = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4s2I5B", 13, b"IHDR", 4, 4, 8, 2, 0, 0, 0)
    with pytest.raises(ValueError, match="no image in any"):
        images.decode(data)


def pattern(height, width):
    """Every pixel has a colour of its own, so that smoothing over neighbours shows."""
    values = np.random.default_rng(height).integers(0, 256, [height, width, 3], dtype=np.uint8)
    return Image.fromarray(values)


@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("options", [{}, {"progressive": True}])
def test_a_part_of_a_jpeg_equals_that_part_of_the_whole(subsampling, options):
    generator = np.random.default_rng(7)
    for _ in range(3):
        height, width = (int(side) for side in generator.integers(30, 130, 2))
        data = encoded(pattern(height, width), "JPEG", subsampling=subsampling, **options)
        whole = images.decode_tensor(tf.constant(data)).numpy()
        parts = 0
        for _ in range(12):
            top, left = int(generator.integers(height)), int(generator.integers(width))
            rows, columns = (int(generator.integers(1, n // 2)) for n in (height, width))
            rows, columns = min(rows, height - top), min(columns, width - left)
            pixels, origin = images.decode_part_tensor(
                tf.constant(data),
                tf.constant([height, width]),
                tf.constant([top, left, rows, columns]),
            )
            parts += pixels.shape != whole.shape
            first = [top, left] - origin.numpy()
            found = pixels[first[0] : first[0] + rows, first[1] : first[1] + columns]
            np.testing.assert_array_equal(found, whole[top : top + rows, left : left + columns])
        assert parts > 0


def test_large_parts_and_png_are_decoded_whole():
    for kind, window in (("JPEG", [0, 0, 60, 70]), ("PNG", [5, 5, 4, 4])):
        data = tf.constant(encoded(pattern(80, 90), kind))
        pixels, origin = images.decode_part_tensor(data, tf.constant([80, 90]), tf.constant(window))
        assert pixels.shape == (80, 90, 3) and origin.numpy().tolist() == [0, 0]
