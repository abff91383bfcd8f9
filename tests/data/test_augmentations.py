"""Each augmentation against Pillow or float64 NumPy, and the statistics of what is drawn."""

import itertools
import math
import random

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from burn_tf.data import Policy, augmentations, colours, get_policy, randomness
from burn_tf.data.preprocessing import preprocess_input

LUMA = np.array([0.299, 0.587, 0.114])
ENHANCERS = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)


@pytest.fixture(scope="module")
def picture():
    """Smooth colours with an edge and some noise, [40, 56, 3] uint8."""
    generator = np.random.default_rng(0)
    y, x = np.mgrid[:40, :56]
    waves = [np.sin(x / 7), np.cos(y / 5), np.sin((x + y) / 9)]
    values = 128 + 90 * np.stack(waves, -1) + generator.normal(0, 6, [40, 56, 3])
    values[10:20, 30:45] = [250, 20, 60]
    return np.clip(values, 0, 255).astype(np.uint8)


def planar(image):
    return tf.constant(np.moveaxis(image, -1, 0)[None].astype(np.float32))


def flat(image):
    return tf.reshape(planar(image), [1, 3, -1])


def colour_step(image, op, factors):
    matrix, share = colours.colour_matrices(tf.constant([op]), tf.constant(factors))
    return colours.colour_step(flat(image), matrix, share)


def hwc(tensor, shape):
    return np.moveaxis(tensor.numpy()[0].reshape(3, *shape[:2]), 0, -1)


def pillow_resize(image, box, size):
    """Pillow's crop and bilinear resize in floating point: no rounding to compare with."""
    top, left, rows, columns = box
    crop = image[top : top + rows, left : left + columns].astype(np.float32)
    bands = [Image.fromarray(crop[..., c]).resize((size, size), 2) for c in range(3)]
    return np.stack([np.asarray(band) for band in bands], -1)


@pytest.mark.parametrize("box", [(0, 0, 40, 56), (3, 7, 31, 18), (5, 50, 4, 6), (39, 0, 1, 56)])
@pytest.mark.parametrize("size", [8, 16, 32, 61])
def test_crop_and_resize_equal_pillow(picture, box, size):
    top, left, rows, columns = (tf.constant([float(v)]) for v in box)
    weights = augmentations.resize_weights
    vertical = weights(top, rows, top, top + rows, 40, size, True)
    horizontal = weights(left, columns, left, left + columns, 56, size, True)
    found = augmentations.separable(planar(picture), vertical, horizontal)
    wanted = pillow_resize(picture, box, size)
    np.testing.assert_allclose(hwc(found, (size, size)), wanted, atol=0.01)


def test_without_antialias_two_pixels_are_read():
    zero, eight = tf.constant([0.0]), tf.constant([8.0])
    plain = augmentations.resize_weights(zero, eight, zero, eight, 8, 2, False).numpy()[0]
    # Centres 2 and 6: halfway between pixels 1 and 2, and 5 and 6.
    np.testing.assert_allclose(plain[0], [0, 0.5, 0.5, 0, 0, 0, 0, 0])
    smooth = augmentations.resize_weights(zero, eight, zero, eight, 8, 2, True).numpy()[0]
    assert np.count_nonzero(smooth[0]) == 6


@pytest.mark.parametrize("op", [0, 1, 2])
@pytest.mark.parametrize("factor", [0.0, 0.6, 1.0, 1.4])
def test_enhancers_equal_pillow_up_to_rounding(picture, op, factor):
    factors = np.full([1, 4], 99.0, np.float32)
    factors[0, op] = factor
    found = colour_step(picture, op, factors)
    wanted = np.asarray(ENHANCERS[op](Image.fromarray(picture)).enhance(factor), np.float64)
    # Pillow rounds the grey image or its mean, then cuts off the fraction of the result.
    difference = hwc(found, picture.shape) - wanted
    assert np.abs(difference).max() <= 1.6
    assert abs(difference.mean()) < 0.8


def rotate_chroma(image, turn):
    """Float64: luma kept, (I, Q) as one complex number turned."""
    to_yiq = np.array([LUMA, [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])
    y, i, q = np.moveaxis(image.astype(np.float64) @ to_yiq.T, -1, 0)
    chroma = (i + 1j * q) * np.exp(-2j * math.pi * turn)
    turned = np.stack([y, chroma.real, chroma.imag], -1) @ np.linalg.inv(to_yiq).T
    return np.clip(turned, 0, 255)


@pytest.mark.parametrize("turn", [-0.5, -0.1, 0.0, 0.05, 0.25])
def test_hue_turns_chroma(picture, turn):
    found = colour_step(picture, 3, [[9.0, 9.0, 9.0, turn]])
    np.testing.assert_allclose(hwc(found, picture.shape), rotate_chroma(picture, turn), atol=0.02)


def test_hue_goes_the_way_of_hsv():
    # As in HSV, a little to the positive side red takes on green, green blue and blue red.
    colours = np.array([[[200, 60, 60], [60, 200, 60], [60, 60, 200]]], np.uint8)
    turned = colour_step(colours, 3, [[1.0, 1.0, 1.0, 0.05]])
    red, green, blue = turned.numpy()[0].T
    assert red[1] > red[2] + 10
    assert green[2] > green[0] + 10
    assert blue[0] > blue[1] + 10


def test_hue_leaves_grey_and_luma_alone():
    grey = np.repeat(np.arange(0, 256, 5, dtype=np.uint8)[None, :, None], 3, axis=2)
    found = colour_step(grey, 3, [[1.0, 1.0, 1.0, 0.3]])
    np.testing.assert_allclose(hwc(found, grey.shape), grey, atol=0.02)
    dull = 100 + np.random.default_rng(1).integers(0, 40, [4, 4, 3])
    found = colour_step(dull, 3, [[1.0, 1.0, 1.0, 0.2]])
    np.testing.assert_allclose(hwc(found, dull.shape) @ LUMA, dull @ LUMA, atol=0.02)


def test_jitter_applies_each_images_own_order(picture):
    """All 24 orders at once, against Pillow and the NumPy hue one after the other."""
    chosen = [1.3, 0.7, 1.4, 0.08]
    images = tf.repeat(flat(picture), 24, axis=0)
    factors = tf.repeat(tf.constant([chosen], tf.float32), 24, axis=0)
    found = colours.jitter(images, tf.fill([24], True), factors, tf.range(24)).numpy()
    for number, order in enumerate(itertools.permutations(range(4))):
        wanted = picture.astype(np.float64)
        for op in order:
            wanted = rotate_chroma(wanted, 0.08) if op == 3 else enhance(wanted, op, chosen[op])
        values = np.moveaxis(found[number].reshape(3, 40, 56), 0, -1)
        np.testing.assert_allclose(values, wanted, atol=0.05)


def enhance(image, op, factor):
    """Float64 brightness, contrast and saturation, clipped."""
    grey = (image @ LUMA)[..., None]
    other = (0.0, grey.mean(), grey)[op]
    return np.clip(factor * image + (1 - factor) * other, 0, 255)


def test_jitter_touches_only_the_chosen(picture):
    images = tf.repeat(flat(picture), 2, axis=0)
    factors = tf.constant([[0.5, 0.5, 0.5, 0.1]] * 2)
    found = colours.jitter(images, tf.constant([False, True]), factors, tf.zeros([2], tf.int32))
    np.testing.assert_array_equal(found[0], images[0])
    assert np.abs(found[1] - images[1]).mean() > 10


def test_grey_equals_pillow(picture):
    found = colours.to_grey(flat(picture), tf.constant([True]))
    wanted = np.asarray(Image.fromarray(picture).convert("L").convert("RGB"), np.float32)
    np.testing.assert_allclose(hwc(found, picture.shape), wanted, atol=0.51)


@pytest.mark.parametrize("sigma", [0.1, 0.8, 2.0])
def test_blur_equals_a_direct_sum(picture, sigma):
    square = picture[:32, :32]
    found = augmentations.blur(planar(square), tf.constant([True]), tf.constant([sigma]))
    offsets = np.arange(32)[:, None] - np.arange(32)
    kernel = np.exp(-0.5 * (offsets / sigma) ** 2)
    kernel /= kernel.sum(1, keepdims=True)
    wanted = np.einsum("ip,jq,pqc->ijc", kernel, kernel, square.astype(np.float64))
    np.testing.assert_allclose(hwc(found, square.shape), wanted, atol=0.01)


def test_blur_is_pillows_away_from_the_border(picture):
    square = picture[:40, :40]
    found = augmentations.blur(planar(square), tf.constant([True]), tf.constant([1.5]))
    wanted = np.asarray(Image.fromarray(square).filter(ImageFilter.GaussianBlur(1.5)), np.float32)
    difference = (hwc(found, square.shape) - wanted)[6:-6, 6:-6]
    # Pillow approximates the Gaussian by three box filters.
    assert np.abs(difference).max() < 5
    assert np.abs(difference).mean() < 1


def test_blur_of_one_leaves_its_neighbour_alone(picture):
    pair = tf.repeat(planar(picture[:32, :32]), 2, axis=0)
    found = augmentations.blur(pair, tf.constant([False, True]), tf.constant([2.0, 2.0]))
    np.testing.assert_array_equal(found[0], pair[0])
    assert np.abs(found[1] - pair[1]).mean() > 1


def test_solarise_equals_pillow(picture):
    found = colours.solarise(planar(picture), tf.constant([True]))
    wanted = np.asarray(ImageOps.solarize(Image.fromarray(picture)))
    np.testing.assert_array_equal(hwc(found, picture.shape), wanted)


def test_finish_equals_preprocess_input(picture):
    found = augmentations.finish(tf.repeat(planar(picture[:32, :32]), 2, axis=0))
    np.testing.assert_allclose(found[1], preprocess_input(picture[:32, :32]), atol=1e-5)


def boxes(policy, height, width, number=20000):
    numbers = randomness.uniform(0, 0, np.arange(number), 0, augmentations.SLOTS)
    return augmentations.crop_box(numbers, height, width, policy).numpy()


def simulated(policy, height, width, number=20000):
    """The same rule, drawn by Python."""
    dice = random.Random(0)
    found: list[list[int]] = []
    while len(found) < number:
        area = height * width * dice.uniform(*policy.crop_area)
        ratio = math.exp(dice.uniform(*(math.log(r) for r in policy.crop_ratio)))
        rows, columns = round(math.sqrt(area / ratio)), round(math.sqrt(area * ratio))
        if rows <= height and columns <= width:
            found.append(
                [dice.randint(0, height - rows), dice.randint(0, width - columns), rows, columns]
            )
    return np.array(found, np.float64)


@pytest.mark.parametrize(("height", "width"), [(32, 32), (375, 500)])
def test_distribution_of_crops(height, width):
    policy = get_policy("moco_v2")
    found, wanted = boxes(policy, height, width), simulated(policy, height, width)
    for column in range(4):
        quantiles = np.linspace(0.05, 0.95, 7)
        scale = max(height, width)
        np.testing.assert_allclose(
            np.quantile(found[:, column], quantiles) / scale,
            np.quantile(wanted[:, column], quantiles) / scale,
            atol=0.02 + 1 / scale,
        )
    area = found[:, 2] * found[:, 3] / (height * width)
    assert area.min() > 0.2 - 2 / min(height, width)
    assert abs(area.mean() - (wanted[:, 2] * wanted[:, 3] / (height * width)).mean()) < 0.01


@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 40), (40, 2), (7, 5)])
def test_crops_stay_inside(height, width):
    top, left, rows, columns = boxes(get_policy("burn_paper"), height, width, 2000).T
    assert rows.min() >= 1
    assert columns.min() >= 1
    assert top.min() >= 0
    assert left.min() >= 0
    assert (top + rows).max() <= height
    assert (left + columns).max() <= width


def test_a_strip_falls_back_to_its_middle():
    # No window with a ratio of 3/4 to 4/3 covers a fifth of a strip of 10 x 200.
    policy = get_policy("moco_v2")
    found = boxes(policy, 10, 200, 100)
    np.testing.assert_array_equal(found, np.broadcast_to([0, 93, 10, 13], found.shape))


def test_whole_image_policy_takes_all_of_a_square():
    found = boxes(get_policy("none"), 24, 24, 50)
    np.testing.assert_array_equal(found, np.broadcast_to([0, 0, 24, 24], found.shape))


OFF = {"crop_area": (1.0, 1.0), "crop_ratio": (1.0, 1.0), "flip": 0.0}
OFF |= {"jitter": 0.0, "grey": 0.0, "blur": 0.0, "solarise": 0.0}


@pytest.mark.parametrize("field", ["jitter", "grey", "blur", "solarise"])
@pytest.mark.parametrize("probability", [0.2, 0.8])
def test_share_of_images_that_are_changed(field, probability):
    policy = Policy("one", **(OFF | {field: probability, "blur_sigma": (0.5, 2.0)}))
    numbers = randomness.uniform(5, 0, np.arange(2000), 0, augmentations.SLOTS)
    picture = np.zeros([1, 3, 8, 8], np.float32)
    picture[0, :, 2:5, 3:6] = np.array([200.0, 90.0, 30.0])[:, None, None]
    images = tf.constant(np.repeat(picture, 2000, axis=0))
    changed = (
        np.abs(augmentations.augment(images, numbers, policy) - images).max(axis=(1, 2, 3)) > 0.1
    )
    # Five standard errors.
    assert abs(changed.mean() - probability) < 5 * math.sqrt(probability * (1 - probability) / 2000)


def test_share_of_mirrored_images():
    numbers = randomness.uniform(5, 0, np.arange(4000), 0, augmentations.SLOTS)
    mirrored = augmentations.is_flipped(numbers, get_policy("cifar")).numpy()
    assert abs(mirrored.mean() - 0.5) < 5 * 0.5 / math.sqrt(4000)


def test_factors_fill_their_ranges():
    policy = get_policy("msbreg")
    numbers = randomness.uniform(5, 0, np.arange(4000), 0, augmentations.SLOTS)
    names = augmentations._NAMES
    draw = {name: numbers[:, 20 + i] for i, name in enumerate(names)}
    found = augmentations._factors(draw, policy).numpy()
    for column, (low, high) in enumerate([(0.6, 1.4), (0.6, 1.4), (0.8, 1.2), (-0.1, 0.1)]):
        values = found[:, column]
        assert low <= values.min() < low + 0.01 * (high - low)
        assert high - 0.01 * (high - low) < values.max() <= high
        assert abs(values.mean() - (low + high) / 2) < 0.03 * (high - low)
