"""Every operation of RandAugment against Pillow, and what is drawn."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageEnhance, ImageOps

from burn_tf._checks import UserError
from burn_tf.data import Policy, augmentations, get_policy, load_source, randomness, views_dataset
from burn_tf.data.rand_augment import NUMBERS, OPERATIONS, rand_augment

SIDE = 32
FILL = (124, 116, 104)
LEVELS = [0.0, 3.3, 7.0, 9.6, 10.0]
BLENDED = ("colour", "contrast", "sharpness")
GEOMETRIC = ("rotate", "shear_x", "shear_y", "translate_x", "translate_y")


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    """Smooth colours with an edge and some noise, away from 0 and 255; [32, 32, 3] uint8."""
    y, x = np.mgrid[:SIDE, :SIDE]
    waves = [np.sin(x / 7), np.cos(y / 5), np.sin((x + y) / 9)]
    values = 128 + 80 * np.stack(waves, -1)
    values += np.random.default_rng(0).normal(0, 4, values.shape)
    values[10:20, 8:15] = [240, 20, 60]
    return np.clip(values, 5, 250).astype(np.uint8)


def affine(image: Image.Image, *numbers: float) -> Image.Image:
    return image.transform(
        image.size, Image.Transform.AFFINE, numbers, Image.Resampling.BILINEAR, fillcolor=FILL
    )


def add_below(image: Image.Image, added: int) -> Image.Image:
    return image.point([min(255, i + added) if i < 128 else i for i in range(256)] * 3)


def share(level: float) -> float:
    return level / 10


def enhance(kind: type) -> Callable[[Image.Image, float, float], Image.Image]:
    return lambda image, level, sign: kind(image).enhance(0.1 + 1.8 * share(level))


PILLOW: dict[str, Callable[[Image.Image, float, float], Image.Image]] = {
    "auto_contrast": lambda image, level, sign: ImageOps.autocontrast(image),
    "equalise": lambda image, level, sign: ImageOps.equalize(image),
    "invert": lambda image, level, sign: ImageOps.invert(image),
    "rotate": lambda image, level, sign: image.rotate(
        sign * 30 * share(level), Image.Resampling.BILINEAR, fillcolor=FILL
    ),
    "posterise": lambda image, level, sign: image.point(
        [i & ~(2 ** (8 - int(share(level) * 4)) - 1) for i in range(256)] * 3
    ),
    "solarise": lambda image, level, sign: ImageOps.solarize(image, int(share(level) * 256)),
    "solarise_add": lambda image, level, sign: add_below(image, int(share(level) * 110)),
    "colour": enhance(ImageEnhance.Color),
    "contrast": enhance(ImageEnhance.Contrast),
    "brightness": enhance(ImageEnhance.Brightness),
    "sharpness": enhance(ImageEnhance.Sharpness),
    "shear_x": lambda image, level, sign: affine(image, 1, sign * 0.3 * share(level), 0, 0, 1, 0),
    "shear_y": lambda image, level, sign: affine(image, 1, 0, 0, sign * 0.3 * share(level), 1, 0),
    "translate_x": lambda image, level, sign: affine(
        image, 1, 0, sign * 0.45 * SIDE * share(level), 0, 1, 0
    ),
    "translate_y": lambda image, level, sign: affine(
        image, 1, 0, 0, 0, 1, sign * 0.45 * SIDE * share(level)
    ),
}


def planar(image: np.ndarray) -> tf.Tensor:
    return tf.constant(np.moveaxis(image, -1, 0), tf.float32)


def ours(name: str, image: np.ndarray, level: float, sign: float = 1.0) -> np.ndarray:
    found = OPERATIONS[name](planar(image), tf.constant(level), tf.constant(sign))
    return np.moveaxis(found.numpy(), 0, -1)


def away_from_fill(expected: np.ndarray) -> np.ndarray:
    """Pixels without a neighbour of the colour that Pillow fills gaps with."""
    filled = np.abs(expected - np.array(FILL)).max(axis=-1) == 0
    near = np.zeros_like(filled)
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            near |= np.roll(filled, (dy, dx), (0, 1))
    return ~near[2:-2, 2:-2]


@pytest.mark.parametrize("sign", [-1.0, 1.0])
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", OPERATIONS)
def test_as_pillow(name: str, level: float, sign: float, picture: np.ndarray) -> None:
    expected = np.asarray(PILLOW[name](Image.fromarray(picture), level, sign), np.float64)
    found = ours(name, picture, level, sign)
    if name in GEOMETRIC:
        inside = away_from_fill(expected)
        assert inside.mean() > 0.3
        difference = np.abs(found - expected)[2:-2, 2:-2][inside]
    else:
        difference = np.abs(found - expected)
    # Pillow cuts to whole numbers; its grey, its smooth form and its resampling are rounded before.
    assert difference.max() <= (1.6 if name in (*GEOMETRIC, *BLENDED) else 1.01), difference.max()


@pytest.mark.parametrize("name", OPERATIONS)
def test_the_level_and_the_direction_matter(name: str, picture: np.ndarray) -> None:
    plain = ("auto_contrast", "equalise", "invert")
    low, high = ours(name, picture, 2.0), ours(name, picture, 9.0)
    assert (np.abs(low - high).max() > 1.0) == (name not in plain)
    turned = np.abs(high - ours(name, picture, 9.0, -1.0)).max() > 1.0
    assert turned == (name in GEOMETRIC)


def test_gaps_have_the_mean_colour(picture: np.ndarray) -> None:
    found = ours("translate_x", picture, 10.0)
    np.testing.assert_allclose(found[:, -5:], np.broadcast_to(FILL, [SIDE, 5, 3]), atol=1e-3)


def test_flat_channels_stay() -> None:
    image = np.full([SIDE, SIDE, 3], 70, np.uint8)
    for name in ("auto_contrast", "equalise", "contrast"):
        np.testing.assert_allclose(ours(name, image, 5.0), image, atol=1e-3)


@pytest.mark.parametrize("side", [1, 2, 3])
@pytest.mark.parametrize("name", OPERATIONS)
def test_the_smallest_pictures(name: str, side: int) -> None:
    found = ours(name, np.full([side, side, 3], 70, np.uint8), 4.0)
    assert found.shape == (side, side, 3) and np.isfinite(found).all()


def test_an_even_picture_stays_even_after_a_blur() -> None:
    image = tf.tile(tf.constant([200.0, 33.0, 71.0])[None, :, None, None], [1, 1, SIDE, SIDE])
    blurred = augmentations.blur(image, tf.constant([True]), tf.constant([1.3]))[0]
    assert 0.0 < float(tf.reduce_max(tf.abs(blurred - image[0]))) < 1e-3
    for name in ("auto_contrast", "equalise"):
        found = OPERATIONS[name](blurred, tf.constant(10.0), tf.constant(1.0))
        np.testing.assert_allclose(found, image[0], atol=0.01)


def draws(count: int, layers: int) -> np.ndarray:
    return randomness.uniform(3, 0, np.arange(count), 0, layers * NUMBERS).numpy()


def numbers_for(name: str, done: bool, level: float, direction: float) -> list[float]:
    place = (list(OPERATIONS).index(name) + 0.5) / len(OPERATIONS)
    return [place, 0.1 if done else 0.9, level, direction]


def test_operations_follow_each_other(picture: np.ndarray) -> None:
    # A level of 0.5 is the median: the magnitude itself.
    numbers = [
        *numbers_for("translate_x", True, 0.5, 0.9),
        *numbers_for("invert", True, 0.5, 0.9),
        *numbers_for("brightness", False, 0.5, 0.9),
    ]
    found = rand_augment(planar(picture)[None], tf.constant([numbers]), 3, 4.0, 0.5)
    expected = OPERATIONS["translate_x"](planar(picture), tf.constant(4.0), tf.constant(1.0))
    np.testing.assert_allclose(found[0], 255.0 - expected, atol=1e-3)


def test_a_batch_equals_its_images(picture: np.ndarray) -> None:
    numbers = draws(40, 2)
    images = tf.repeat(planar(picture)[None], 40, axis=0)
    together = rand_augment(images, tf.constant(numbers), 2, 6.0, 0.5)
    alone = [
        rand_augment(images[:1], tf.constant(numbers[i : i + 1]), 2, 6.0, 0.5)[0] for i in range(40)
    ]
    np.testing.assert_allclose(together, tf.stack(alone), atol=1e-3)
    assert together.shape == [40, 3, SIDE, SIDE]
    assert float(tf.reduce_min(together)) >= 0.0 and float(tf.reduce_max(together)) <= 255.0


def test_levels_and_shares_are_those_asked_for() -> None:
    image = tf.zeros([1, 3, 4, 4])
    numbers = draws(3000, 1)
    numbers[:, 0] = (list(OPERATIONS).index("solarise_add") + 0.5) / len(OPERATIONS)
    found = rand_augment(tf.repeat(image, 3000, axis=0), tf.constant(numbers), 1, 5.0, 1.0)
    added = found.numpy()[:, 0, 0, 0]
    assert np.mean(added > 0) == pytest.approx(0.5, abs=0.03)
    # 110 levels of 10: the middle of the levels is 55, their deviation 11.
    assert np.mean(added[added > 0]) == pytest.approx(54.5, abs=1.0)
    assert np.std(added[added > 0]) == pytest.approx(11.0, abs=0.8)


def test_the_least_number_gives_a_finite_level() -> None:
    numbers = tf.constant([numbers_for("rotate", True, 0.0, 0.0)])
    found = rand_augment(tf.fill([1, 3, 8, 8], 9.0), numbers, 1, 10.0, 0.5)
    assert np.isfinite(found).all()


def test_all_operations_are_drawn_alike() -> None:
    chosen = np.floor(draws(15000, 1)[:, 0] * len(OPERATIONS)).astype(int)
    shares = np.bincount(chosen, minlength=len(OPERATIONS)) / 15000
    np.testing.assert_allclose(shares, 1 / 15, atol=0.008)


def test_grey_comes_last(picture: np.ndarray) -> None:
    policy = Policy("t", jitter=0.0, blur=0.0, grey=1.0, rand_augment=4)
    numbers = randomness.uniform(5, 0, np.arange(30), 0, augmentations.SLOTS)
    images = tf.repeat(planar(picture)[None], 30, axis=0)
    found = augmentations.augment(images, numbers, policy).numpy()
    # Gaps are filled with a colour: grey before them would show it.
    assert np.ptp(found, axis=1).max() < 1e-2
    assert np.abs(found - found[:1]).max() > 10.0


@pytest.mark.parametrize("side", [16, 72])
def test_views_of_infomin_are_repeatable(side: int) -> None:
    source = load_source("synthetic:6")
    options = {"num_views": 2, "batch_size": 3, "image_size": side, "epochs": 2}
    first, again = (
        [view.numpy() for views in views_dataset(source, "infomin", **options) for view in views]
        for _ in range(2)
    )
    assert len(first) == 4
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, other)
    assert all(np.isfinite(view).all() for view in first)


def test_other_policies_draw_what_they_drew() -> None:
    # Numbers of the first slots do not depend on how many there are, and RandAugment's come last.
    few, many = (randomness.uniform(1, 2, np.arange(5), 0, slots).numpy() for slots in (30, 60))
    np.testing.assert_array_equal(few, many[:, :30])
    others = 2 * augmentations.ATTEMPTS + len(augmentations._NAMES)
    assert others + 4 * NUMBERS == augmentations.SLOTS
    assert get_policy("infomin").rand_augment == 2

    def made(rest: float, policy: Policy) -> np.ndarray:
        numbers = tf.concat([many_numbers[:, :others], tf.fill([5, 4 * NUMBERS], rest)], axis=1)
        return augmentations.augment(images, numbers, policy).numpy()

    many_numbers = randomness.uniform(1, 2, np.arange(5), 0, augmentations.SLOTS)
    images = tf.random.stateless_uniform([5, 3, 8, 8], [1, 2], maxval=255.0)
    for name, same in (("simclr", True), ("msbreg", True), ("infomin", False)):
        policy = get_policy(name)
        assert np.array_equal(made(0.1, policy), made(0.3, policy)) == same


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"rand_augment": 5}, "rand_augment"),
        ({"rand_magnitude": 11.0}, "rand_magnitude"),
        ({"rand_deviation": 0.0}, "rand_deviation"),
    ],
)
def test_mistakes(options: dict[str, float], name: str) -> None:
    with pytest.raises(UserError, match=f"`{name}` must be"):
        Policy("t", **options)  # type: ignore[arg-type]
