"""Evaluation images: Pillow's resize and centre crop, in order."""

import numpy as np
import pytest
from PIL import Image

from burn_tf._checks import UserError
from burn_tf.data import Source, eval_dataset, load_source, preprocess_input

MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


def pixels(image):
    """Back to 0..255."""
    return (np.asarray(image, np.float64) * STD + MEAN) * 255


def resized_and_cropped(image, size, short):
    """torchvision's Resize(short) and CenterCrop(size) on Pillow images in floating point."""
    height, width = image.shape[:2]
    rows, columns = short * height // min(height, width), short * width // min(height, width)
    top, left = round((rows - size) / 2), round((columns - size) / 2)
    bands = [
        np.asarray(Image.fromarray(image[..., c].astype(np.float32)).resize((columns, rows), 2))
        for c in range(3)
    ]
    return np.stack(bands, -1)[top : top + size, left : left + size]


@pytest.mark.parametrize(("height", "width"), [(40, 40), (37, 61), (90, 33), (6, 9)])
@pytest.mark.parametrize(("size", "fraction", "short"), [(16, 1.0, 16), (28, 0.875, 32)])
def test_equals_pillow(height, width, size, fraction, short):
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, [2, height, width, 3], dtype=np.uint8)
    dataset = eval_dataset(
        Source.from_array(images), image_size=size, batch_size=2, crop_fraction=fraction
    )
    found, _ = next(iter(dataset))
    for i in range(2):
        wanted = resized_and_cropped(images[i], size, short)
        np.testing.assert_allclose(pixels(found[i]), wanted, atol=0.02)


def test_files_and_arrays_agree(tmp_path):
    generator = np.random.default_rng(0)
    for i in range(3):
        image = generator.integers(0, 256, [50, 40, 3], dtype=np.uint8)
        Image.fromarray(image).save(tmp_path / f"{i}.png")
    Image.new("RGB", (40, 41)).save(tmp_path / "3.png")
    files = load_source(str(tmp_path), split="all")
    assert files.array is None
    array = Source.from_array(np.stack([files.image(i) for i in range(3)]))
    (found, _), *rest = eval_dataset(files, image_size=20, batch_size=3)
    (wanted, _), *_ = eval_dataset(array, image_size=20, batch_size=3)
    assert [len(images) for images, _ in rest] == [1]
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_same_size_is_untouched_and_in_order():
    images = np.random.default_rng(0).integers(0, 256, [5, 12, 12, 3], dtype=np.uint8)
    source = Source.from_array(images, np.array([4, 3, 2, 1, 0]))
    batches = list(eval_dataset(source, image_size=12, batch_size=2))
    assert [len(labels) for _, labels in batches] == [2, 2, 1]
    found = np.concatenate([views for views, _ in batches])
    np.testing.assert_allclose(found, preprocess_input(images), atol=1e-5)
    np.testing.assert_array_equal(
        np.concatenate([labels for _, labels in batches]), [4, 3, 2, 1, 0]
    )


def test_no_labels_are_minus_one():
    source = Source.from_array(np.zeros([3, 4, 4, 3], np.uint8))
    _, labels = next(iter(eval_dataset(source, image_size=4, batch_size=3)))
    assert labels.dtype.name == "int64"
    np.testing.assert_array_equal(labels, [-1, -1, -1])


def test_photographs_keep_224_of_256():
    image = np.random.default_rng(0).integers(0, 256, [1, 256, 300, 3], dtype=np.uint8)
    found, _ = next(iter(eval_dataset(Source.from_array(image), image_size=224, batch_size=1)))
    np.testing.assert_allclose(pixels(found[0]), image[0, 16:240, 38:262], atol=0.01)


def test_antialias_is_a_choice():
    columns = np.zeros([1, 32, 32, 3], np.uint8)
    columns[:, :, 1::4] = 200
    source = Source.from_array(columns)
    smooth, _ = next(iter(eval_dataset(source, image_size=8, batch_size=1)))
    sharp, _ = next(iter(eval_dataset(source, image_size=8, batch_size=1, antialias=False)))
    # Centres lie between pixels 1 and 2 of each four: half of a bright one and half of a dark one.
    np.testing.assert_allclose(pixels(sharp[0]), 100, atol=0.01)
    # The filter of width 8 weighs by distance 0.5 to 3.5; away from the border 3/4 of 1/4 and 1/4.
    np.testing.assert_allclose(pixels(smooth[0])[:, 1:-1], 50, atol=0.01)


@pytest.mark.parametrize(
    "arguments",
    [{"image_size": 0}, {"batch_size": 0}, {"crop_fraction": 0.0}, {"crop_fraction": 2}],
)
def test_refuses(arguments):
    source = load_source("synthetic:4")
    with pytest.raises(UserError, match=next(iter(arguments))):
        eval_dataset(source, **({"image_size": 8, "batch_size": 2} | arguments))


@pytest.mark.parametrize("size", [13, 32])
def test_pixels_are_those_before_the_normalisation(size):
    source = load_source("digits", split="test").subset(np.arange(5))
    (pixels, labels), (values, same) = (
        next(iter(eval_dataset(source, image_size=size, batch_size=5, normalise=normalise)))
        for normalise in (False, True)
    )
    assert pixels.dtype.name == "uint8"
    np.testing.assert_array_equal(labels, same)
    # Half a level of 255, in units of the smallest deviation.
    np.testing.assert_allclose(preprocess_input(pixels), values, atol=0.51 / 255 / 0.224)
