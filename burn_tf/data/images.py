"""Any image file -> RGB uint8, and which files TensorFlow's own decoders read right."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import struct
import zlib

import numpy as np
import tensorflow as tf
from PIL import Image, ImageOps, UnidentifiedImageError

SUFFIXES = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".bmp", ".webp", ".tif", ".tiff",
    ".ppm", ".pgm", ".pnm",
)  # fmt: skip
# Kinds. TensorFlow's one decoder of JPEG and PNG reads PLAIN files exactly as Pillow does.
ODD, PLAIN = 0, 1
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_ORIENTATION = 0x0112
# Pixels around a window that are decoded with it, and the share of a file up to which that pays.
_MARGIN, _PART = 8, 0.4
# What Pillow's readers raise on damaged files, by format.
_READ_ERRORS = (OSError, SyntaxError, EOFError, ValueError, LookupError, TypeError, struct.error)
_DAMAGE = (*_READ_ERRORS, zlib.error, Image.DecompressionBombError)


@dataclasses.dataclass(frozen=True)
class Header:
    """What the first bytes of a file say: what decodes it, and its size in pixels."""

    kind: int
    height: int
    width: int


def read_header(data: bytes) -> Header:
    """Size of an image, and whether TensorFlow decodes it as Pillow does (PLAIN) or not (ODD).

    PLAIN are grey and YCbCr JPEGs that need no turning and 8-bit grey and RGB PNGs; ODD are CMYK,
    turned by EXIF, palettes, transparency, 16 bits, animations and all other formats.

    Args:
        data: the file's first 64 kB, or all of it.

    Raises:
        ValueError: not an image, or its header is longer than `data`.
    """
    header = _jpeg_header(data) if data[:2] == b"\xff\xd8" else _png_header(data)
    return header or _pillow_header(data)


def file_size(path: str) -> tuple[int, int]:
    """Height and width in pixels that an image file's header states; 0, 0 where it has none."""
    try:
        with open(path, "rb") as file:
            header = read_header(file.read())
    except (ValueError, OSError):
        return 0, 0
    return header.height, header.width


def _png_header(data: bytes) -> Header | None:
    if data[:8] != _PNG_SIGNATURE or len(data) < 33:
        return None
    width, height, depth, colour = struct.unpack(">2I2B", data[16:26])
    chunks = data[33:].partition(b"IDAT")[0]
    odd = any(name in chunks for name in (b"tRNS", b"acTL", b"eXIf", b"Orientation"))
    return Header(PLAIN, height, width) if depth == 8 and colour in (0, 2) and not odd else None


def _jpeg_header(data: bytes) -> Header | None:
    position, notes = 2, False
    while position + 4 <= len(data) and data[position] == 0xFF:
        marker, length = struct.unpack(">BH", data[position + 1 : position + 4])
        segment = data[position + 4 : position + 2 + length]
        if marker == 0xEE and segment[:5] == b"Adobe" and segment[11:12] != b"\x01":
            return None  # RGB or CMYK stored without the usual colour transform
        notes = notes or marker == 0xE1  # EXIF or XMP: only they can say that it is to be turned
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC) and len(segment) > 5:
            depth, height, width, channels = struct.unpack(">B2HB", segment[:6])
            plain = depth == 8 and channels in (1, 3) and height and width
            return Header(PLAIN, height, width) if plain and not (notes and _turn(data)) else None
        position += 2 + length
    return None


def _turn(data: bytes) -> int:
    """0 if EXIF and XMP leave the image upright, else the number of its orientation."""
    with contextlib.suppress(*_DAMAGE), Image.open(io.BytesIO(data)) as image:
        orientation = image.getexif().get(_ORIENTATION, 1)
        return orientation if orientation in range(2, 9) else 0
    return 0


def _pillow_header(data: bytes) -> Header:
    try:
        with Image.open(io.BytesIO(data)) as image:
            width, height = image.size
    except _DAMAGE as error:
        raise ValueError(_reason(error, data)) from error
    return Header(ODD, width, height) if _turn(data) >= 5 else Header(ODD, height, width)


def _reason(error: Exception, data: bytes) -> str:
    if not data:
        return "empty file"
    if isinstance(error, UnidentifiedImageError):  # Its message is an address in memory.
        return "no image in any known format"
    return " ".join(f"{type(error).__name__}: {error}".split())


def decode(data: bytes) -> np.ndarray:
    """RGB uint8 [H, W, 3] of an image file's bytes, turned as EXIF says.

    Of an animation the first frame; transparency is dropped. 16-bit grey is scaled to 8 bits, and
    so are floating-point values that lie in 0..1 (Pillow's convert would cut them off).

    Raises:
        ValueError: not an image, or a damaged one.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            image.seek(0)
            image.load()
            return _to_rgb(ImageOps.exif_transpose(image))
    except _DAMAGE as error:
        raise ValueError(_reason(error, data)) from error


def _to_rgb(image: Image.Image) -> np.ndarray:
    if image.mode != "F" and not image.mode.startswith("I"):
        return np.asarray(image.convert("RGB"))
    values = np.asarray(image, np.float64)
    largest = values.max(initial=0.0)
    if image.mode == "F":
        top = 1.0 if largest <= 1.0 else 255.0
    else:
        top = 255.0 if image.mode == "I" and largest <= 255.0 else 65535.0
    grey = np.clip(np.rint(values * (255.0 / top)), 0, 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


def decode_tensor(data: tf.Tensor, kind: tf.Tensor | None = None) -> tf.Tensor:
    """In a graph: uint8 [H, W, 3] of an image file's bytes.

    Args:
        data: string scalar.
        kind: int32 scalar, ODD or PLAIN; None for PLAIN, and then the graph has no Python in it.
    """

    def plain() -> tf.Tensor:
        # INTEGER_ACCURATE equals Pillow bit for bit; the fast transform is off by up to 7 and
        # saves 5 %. The operation reads PNG as well.
        return tf.io.decode_jpeg(data, channels=3, dct_method="INTEGER_ACCURATE")

    def odd() -> tf.Tensor:
        return tf.ensure_shape(
            tf.numpy_function(decode, [data], tf.uint8, stateful=False), [None, None, 3]
        )

    return plain() if kind is None else tf.cond(tf.equal(kind, PLAIN), plain, odd)


def decode_part_tensor(
    data: tf.Tensor, shape: tf.Tensor, window: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """In a graph: the pixels of a PLAIN file that lie in a window, and perhaps others.

    They equal those of `decode_tensor` bit for bit: colour is stored at half the width and height
    and smoothed over its neighbours, so 8 pixels around the window are decoded too (2 were
    enough in every case that was tried, 0 were not: values differed by up to 22).

    A part is decoded where it is less than 0.4 of a JPEG. What stands before it must be
    read all the same, so that this saves half of 1.0 ms for a quarter of 500 x 375, and nothing
    for a half of it (2026-11-22).

    Args:
        data: string scalar.
        shape: int32 [2], height and width of the image.
        window: int32 [4]: top, left, height, width.

    Returns:
        uint8 [H, W, 3], and int32 [2]: row and column of its first pixel in the image.
    """
    first = tf.maximum(window[:2] - _MARGIN, 0)
    extent = tf.minimum(window[:2] + window[2:] + _MARGIN, shape) - first
    small = tf.cast(tf.reduce_prod(extent), tf.float32) < _PART * tf.cast(
        tf.reduce_prod(shape), tf.float32
    )
    is_jpeg = tf.equal(tf.strings.substr(data, 0, 2), b"\xff\xd8")

    def part() -> tuple[tf.Tensor, tf.Tensor]:
        pixels = tf.io.decode_and_crop_jpeg(
            data, tf.concat([first, extent], 0), channels=3, dct_method="INTEGER_ACCURATE"
        )
        return pixels, first

    def whole() -> tuple[tf.Tensor, tf.Tensor]:
        return decode_tensor(data), tf.zeros([2], tf.int32)

    return tf.cond(small & is_jpeg, part, whole)


def probe_tensor(data: tf.Tensor) -> tf.Tensor:
    """In a graph: reads a PLAIN file to its end as cheaply as that goes; its number of values."""
    pixels = tf.cond(
        tf.equal(tf.strings.substr(data, 0, 2), b"\xff\xd8"),
        # An eighth of the size needs no inverse transform, and meets the same damage.
        lambda: tf.io.decode_jpeg(data, channels=3, ratio=8),
        lambda: tf.io.decode_png(data, channels=3),
    )
    return tf.size(pixels)
