"""RandAugment: operations drawn from a list, at a magnitude for all of them.

Every operation takes one image, planar float32 [3, S, S] in 0..255, and a level in 0..10; what
Pillow does with a table of 256 values is done on rounded values here too.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import tensorflow as tf

from burn_tf.data.colours import BRIGHTNESS, CONTRAST, SATURATION, colour_matrices, colour_step
from burn_tf.data.preprocessing import IMAGENET_MEAN

# Uniform numbers of each layer: operation, whether it is done, level, direction.
NUMBERS = 4
MAX_LEVEL = 10.0
_FILL = tuple(round(255.0 * mean) for mean in IMAGENET_MEAN)
_PROBABILITY = 0.5
_TOP = 255.0

Operation = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]


def rand_augment(
    images: tf.Tensor, numbers: tf.Tensor, layers: int, magnitude: float, deviation: float
) -> tf.Tensor:
    """`layers` operations one after the other, each drawn from `OPERATIONS` and done half the time.

    The level is drawn from a normal distribution around `magnitude` and cut to 0..10.

    Args:
        images: [B, 3, S, S] float32 in 0..255.
        numbers: float32 [B, layers * NUMBERS] uniform numbers.
        layers: operations per image.
        magnitude: mean level.
        deviation: of the level.

    Returns:
        [B, 3, S, S] in 0..255.

    Source: Cubuk et al., RandAugment, arXiv 1909.13719, with the operations, the levels and the
        chance of a half that InfoMin's authors' code takes (rand-n2-m10-mstd0.5).
    Departs from source: shifted and turned images are always resampled bilinearly (there also
        bicubically, at random), and their edges blend into the fill.
    """
    draws = tf.reshape(numbers, [-1, layers, NUMBERS])
    if images.shape[0] == 1:
        return _one_image(images[0], draws[0], magnitude, deviation)[None]
    return tf.map_fn(
        lambda pair: _one_image(pair[0], pair[1], magnitude, deviation),
        (images, draws),
        fn_output_signature=tf.TensorSpec(images.shape[1:], tf.float32),
    )


def _one_image(image: tf.Tensor, draws: tf.Tensor, magnitude: float, deviation: float) -> tf.Tensor:
    shape = image.shape
    for chosen, done, level, direction in (tf.unstack(draw) for draw in tf.unstack(draws)):
        # The least number is 0, whose normal deviate is infinite; half of the next one's is not.
        level = tf.maximum(level, 2.0**-25)
        level = tf.clip_by_value(magnitude + deviation * tf.math.ndtri(level), 0.0, MAX_LEVEL)
        sign = tf.where(direction < 0.5, -1.0, 1.0)
        index = tf.cast(chosen * len(OPERATIONS), tf.int32)
        branches = [_bound(operation, image, level, sign) for operation in OPERATIONS.values()]
        image = tf.cond(
            done < _PROBABILITY,
            lambda index=index, branches=branches: tf.switch_case(index, branches),
            lambda image=image: image,
        )
        image = tf.ensure_shape(image, shape)
    return image


def _bound(
    operation: Operation, image: tf.Tensor, level: tf.Tensor, sign: tf.Tensor
) -> Callable[[], tf.Tensor]:
    return lambda: operation(image, level, sign)


def auto_contrast(image: tf.Tensor, level: tf.Tensor, sign: tf.Tensor) -> tf.Tensor:
    """Each channel stretched to 0..255; one of a single value stays."""
    # Of rounded values: a blur leaves differences of 1e-5 in an even picture.
    values = _rounded(image)
    low = tf.reduce_min(values, axis=[1, 2], keepdims=True)
    extent = tf.reduce_max(values, axis=[1, 2], keepdims=True) - low
    stretched = (image - low) * tf.math.divide_no_nan(_TOP, extent)
    return tf.where(extent > 0.0, tf.clip_by_value(stretched, 0.0, _TOP), image)


def equalise(image: tf.Tensor, level: tf.Tensor, sign: tf.Tensor) -> tf.Tensor:
    """Each channel's values spread so that all are about as frequent, by Pillow's whole numbers."""
    values = tf.cast(_rounded(image), tf.int32)
    return tf.stack([_equalised(channel) for channel in tf.unstack(values)])


def _equalised(values: tf.Tensor) -> tf.Tensor:
    counts = tf.math.bincount(tf.reshape(values, [-1]), minlength=256, maxlength=256)
    last = counts[tf.reduce_max(values)]
    step = (tf.reduce_sum(counts) - last) // 255
    before = tf.cumsum(counts, exclusive=True)
    table = tf.minimum((step // 2 + before) // tf.maximum(step, 1), 255)
    return tf.cast(tf.where(step > 0, tf.gather(table, values), values), tf.float32)


def invert(image: tf.Tensor, level: tf.Tensor, sign: tf.Tensor) -> tf.Tensor:
    """255 - x."""
    return _TOP - image


def rotate(image: tf.Tensor, level: tf.Tensor, sign: tf.Tensor) -> tf.Tensor:
    """Turned about its middle by up to 30 degrees, anticlockwise for a positive sign."""
    angle = sign * level / MAX_LEVEL * math.radians(30.0)
    cos, sin = tf.cos(angle), tf.sin(angle)
    middle = (image.shape[1] - 1) / 2.0
    return _moved(
        image,
        [cos, -sin, middle * (1.0 - cos + sin)],
        [sin, cos, middle * (1.0 - cos - sin)],
    )


def posterise(image: tf.Tensor, level: tf.Tensor, sign: tf.Tensor) -> tf.Tensor:
    """The upper 0 to 4 bits of each value, 4 at the highest level."""
    size = 2.0 ** (8.0 - tf.floor(level / MAX_LEVEL * 4.0))
    return tf.floor(_rounded(image) / size) * size


def solarise_above(image: tf.Tensor, level: tf.Tensor, sign: tf.Tensor) -> tf.Tensor:
    """Values of 0 to 256 and more are inverted; at the highest level, 256, there are none."""
    threshold = tf.floor(level / MAX_LEVEL * 256.0)
    return tf.where(_rounded(image) < threshold, image, _TOP - image)


def solarise_add(image: tf.Tensor, level: tf.Tensor, sign: tf.Tensor) -> tf.Tensor:
    """Up to 110 is added to values below 128."""
    added = tf.minimum(image + tf.floor(level / MAX_LEVEL * 110.0), _TOP)
    return tf.where(_rounded(image) < 128.0, added, image)


def _blend(kind: int) -> Operation:
    """A colour operation of `burn_tf.data.colours` by 0.1 to 1.9."""

    def operation(image: tf.Tensor, level: tf.Tensor, sign: tf.Tensor) -> tf.Tensor:
        factors = tf.fill([1, 4], _factor(level))
        matrix, share = colour_matrices(tf.constant([kind]), factors)
        flat = colour_step(tf.reshape(image, [1, 3, -1]), matrix, share)
        return tf.reshape(flat, tf.shape(image))

    return operation


def sharpen(image: tf.Tensor, level: tf.Tensor, sign: tf.Tensor) -> tf.Tensor:
    """Away from, or towards, its smooth form: f x + (1 - f) smooth(x), f in 0.1 to 1.9.

    The smooth form has (sum of the eight around + 5 x) / 13; the outermost pixels stay.
    """
    if image.shape[1] < 3:
        return image
    kernel = tf.reshape(tf.constant([1.0, 1, 1, 1, 5, 1, 1, 1, 1]) / 13.0, [3, 3, 1, 1])
    inner = tf.nn.conv2d(image[..., None], kernel, strides=1, padding="VALID")[..., 0]
    change = (1.0 - _factor(level)) * (inner - image[:, 1:-1, 1:-1])
    return tf.clip_by_value(image + tf.pad(change, [[0, 0], [1, 1], [1, 1]]), 0.0, _TOP)


def shear_x(image: tf.Tensor, level: tf.Tensor, sign: tf.Tensor) -> tf.Tensor:
    """Rows shifted by up to 0.3 of their number."""
    slope = sign * level / MAX_LEVEL * 0.3
    return _moved(image, [1.0, slope, 0.5 * slope], [0.0, 1.0, 0.0])


def shear_y(image: tf.Tensor, level: tf.Tensor, sign: tf.Tensor) -> tf.Tensor:
    """Columns shifted by up to 0.3 of their number."""
    slope = sign * level / MAX_LEVEL * 0.3
    return _moved(image, [1.0, 0.0, 0.0], [slope, 1.0, 0.5 * slope])


def translate_x(image: tf.Tensor, level: tf.Tensor, sign: tf.Tensor) -> tf.Tensor:
    """Shifted sideways by up to 0.45 of the width."""
    return _moved(image, [1.0, 0.0, _pixels(image, level, sign)], [0.0, 1.0, 0.0])


def translate_y(image: tf.Tensor, level: tf.Tensor, sign: tf.Tensor) -> tf.Tensor:
    """Shifted up or down by up to 0.45 of the height."""
    return _moved(image, [1.0, 0.0, 0.0], [0.0, 1.0, _pixels(image, level, sign)])


# In the order in which they are numbered; all are equally likely.
OPERATIONS: dict[str, Operation] = {
    "auto_contrast": auto_contrast,
    "equalise": equalise,
    "invert": invert,
    "rotate": rotate,
    "posterise": posterise,
    "solarise": solarise_above,
    "solarise_add": solarise_add,
    "colour": _blend(SATURATION),
    "contrast": _blend(CONTRAST),
    "brightness": _blend(BRIGHTNESS),
    "sharpness": sharpen,
    "shear_x": shear_x,
    "shear_y": shear_y,
    "translate_x": translate_x,
    "translate_y": translate_y,
}


def _rounded(image: tf.Tensor) -> tf.Tensor:
    return tf.clip_by_value(tf.round(image), 0.0, _TOP)


def _factor(level: tf.Tensor) -> tf.Tensor:
    return 0.1 + level / MAX_LEVEL * 1.8


def _pixels(image: tf.Tensor, level: tf.Tensor, sign: tf.Tensor) -> tf.Tensor:
    return sign * level / MAX_LEVEL * 0.45 * image.shape[2]


def _moved(image: tf.Tensor, column: list, row: list) -> tf.Tensor:
    """The value at (x, y) is that at (column . (x, y, 1), row . (x, y, 1)); the mean fills gaps."""
    fill = tf.constant(_FILL, tf.float32)
    transform = tf.stack([*column, *row, 0.0, 0.0])
    moved = tf.raw_ops.ImageProjectiveTransformV3(
        images=(tf.transpose(image, [1, 2, 0]) - fill)[None],
        transforms=transform[None],
        output_shape=tf.shape(image)[1:],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
    )
    return tf.transpose(moved[0] + fill, [2, 0, 1])
