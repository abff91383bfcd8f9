"""Augmentations of whole batches; every image has its own random numbers.

Images are planar float32 [B, 3, S, S] in 0..255.

What was measured on one core (AVX-512, TensorFlow 2.21) and decided for this form, for 256 images
of 32 px: crop and resize as two batched matrix products 1.2 ms, `tf.image.crop_and_resize` 3.8 ms
(and it has no antialias); a colour matrix per image as one batched product 0.55 ms.
`tf.image.random_*` take one draw for the whole batch or a loop over images (0.5 ms each), and
KerasCV's layers 0.9.0 are stateful: their pixels depend on the order of the calls.
benchmarks/views.py repeats the comparison.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import tensorflow as tf

from burn_tf.data.colours import jitter, product, solarise, to_grey, where_any
from burn_tf.data.policies import MAX_LAYERS, Policy
from burn_tf.data.preprocessing import IMAGENET_MEAN, IMAGENET_STD
from burn_tf.data.rand_augment import NUMBERS, rand_augment


def resize_weights(
    start: Any, extent: Any, low: Any, high: Any, size_in: Any, size_out: int, antialias: bool
) -> tf.Tensor:
    """Matrices that crop and resize one axis by Pillow's bilinear ("triangle") filter.

        W[b, i, p] ~ max(0, 1 - |p + 0.5 - c_i| / f),   c_i = start + (i + 0.5) extent / size_out
        f = max(1, extent / size_out) with antialias, else 1
        rows sum to 1; a pixel p outside [low, high) is not read

    Args:
        start, extent: float32 [B], the window that is mapped onto the output.
        low, high: float32 [B], the pixels that may be read.
        size_in, size_out: pixels before and after.
        antialias: low-pass filter when shrinking.

    Returns:
        float32 [B, size_out, size_in].
    """
    scale = (extent / size_out)[:, None]
    centre = start[:, None] + (tf.range(size_out, dtype=tf.float32) + 0.5) * scale
    support = tf.maximum(scale, 1.0) if antialias else tf.ones_like(scale)
    pixel = tf.range(size_in, dtype=tf.float32)
    inside = (pixel >= low[:, None]) & (pixel < high[:, None])
    distance = tf.abs((pixel + 0.5)[None, None] - centre[..., None]) / support[..., None]
    weights = tf.nn.relu(1.0 - distance) * tf.cast(inside, tf.float32)[:, None]
    return weights / tf.reduce_sum(weights, axis=-1, keepdims=True)


def resize(image: tf.Tensor, size: int, antialias: bool, mirrored: tf.Tensor) -> tf.Tensor:
    """Pillow's bilinear resize of one image: uint8 [H, W, 3] -> float32 [3, size, size].

    Both axes go through the row pass of ScaleAndTranslate, the second one after a transposition:
    its column pass takes five times as long. 0.7 ms for 290 x 387 to 224 px with the change to
    planes, against 1.7 ms in one call, bit for bit the same. As dense matrix products 1.9 ms.

    Args:
        image: the crop.
        size: pixels of the result, both sides.
        antialias: low-pass filter when shrinking.
        mirrored: bool scalar, whether to mirror left-right.
    """
    shape = tf.shape(image)
    rows = _resized_rows(tf.reshape(image, [shape[0], shape[1] * 3]), size, antialias)
    columns = tf.transpose(tf.reshape(rows, [size, shape[1], 3]), [1, 2, 0])
    columns = _resized_rows(tf.reshape(columns, [shape[1], 3 * size]), size, antialias)
    columns = tf.cond(mirrored, lambda: tf.reverse(columns, [0]), lambda: columns)
    return tf.transpose(tf.reshape(columns, [size, 3, size]), [1, 2, 0])


def _resized_rows(values: tf.Tensor, size: int, antialias: bool) -> tf.Tensor:
    """[N, M] -> float32 [size, M]: an image of one column whose pixels have M channels."""
    scale = tf.stack([size / tf.shape(values)[0], 1.0])
    resized = tf.raw_ops.ScaleAndTranslate(
        images=values[None, :, None], size=[size, 1], scale=tf.cast(scale, tf.float32),
        translation=[0.0, 0.0], kernel_type="triangle", antialias=antialias,
    )  # fmt: skip
    return resized[0, :, 0]


def blur_weights(sigma: tf.Tensor, size: int) -> tf.Tensor:
    """[B, S, S] Gaussian weights of one axis; at the border the kernel is cut and renormalised."""
    pixel = tf.range(size, dtype=tf.float32)
    squared = tf.square(pixel[:, None] - pixel)
    weights = tf.exp(-squared[None] / (2.0 * tf.square(sigma))[:, None, None])
    return weights / tf.reduce_sum(weights, axis=-1, keepdims=True)


def separable(images: tf.Tensor, vertical: tf.Tensor, horizontal: tf.Tensor) -> tf.Tensor:
    """vertical @ image @ horizontal^T for every channel: [B, 3, H, W] -> [B, 3, S, S]."""
    shape = tf.shape(images)
    flat = tf.reshape(images, [images.shape[0] or shape[0], 3 * shape[2], shape[3]])
    rows = product(flat, horizontal, transpose_b=True)
    return tf.matmul(
        vertical[:, None], tf.reshape(rows, [shape[0], 3, shape[2], tf.shape(rows)[2]])
    )


def blur(images: tf.Tensor, on: tf.Tensor, sigma: tf.Tensor) -> tf.Tensor:
    """Gaussian blur of `sigma` [B] pixels where `on` [B]: [B, 3, S, S] -> same."""

    def apply() -> tf.Tensor:
        # exp(-1 / (2 * 0.01**2)) is exactly 0 in float32: such an image meets the identity matrix.
        weights = blur_weights(tf.where(on, sigma, 0.01), images.shape[2])
        return separable(images, weights, weights)

    return where_any(on, apply, images)


ATTEMPTS = 10
_CROP_SLOTS = 2 * ATTEMPTS
_COLOURS = ("brightness", "contrast", "saturation", "hue")
_PLACE, _REST = ("row", "column", "flip", "jitter"), ("order", "grey", "blur", "sigma", "solarise")
_NAMES = (*_PLACE, *_COLOURS, *_REST)
_RAND_AUGMENT = _CROP_SLOTS + len(_NAMES)
SLOTS = _RAND_AUGMENT + MAX_LAYERS * NUMBERS


def crop_box(numbers: tf.Tensor, height: Any, width: Any, policy: Policy) -> tf.Tensor:
    """Random-resized-crop windows in whole pixels.

    The first of ten draws of (area, ratio) that fits is taken; if none fits, the largest centred
    window whose ratio is allowed.

    Args:
        numbers: float32 [B, SLOTS] uniform numbers.
        height, width: float32 scalars or [B], pixels of the image.

    Returns:
        float32 [B, 4]: top, left, height, width.

    Source: torchvision's RandomResizedCrop.
    Departs from source: none.
    """
    height = tf.broadcast_to(tf.cast(height, tf.float32), tf.shape(numbers)[:1])
    width = tf.broadcast_to(tf.cast(width, tf.float32), tf.shape(numbers)[:1])
    low, high = policy.crop_area
    area = (low + (high - low) * numbers[:, :ATTEMPTS]) * (height * width)[:, None]
    first, last = (math.log(ratio) for ratio in policy.crop_ratio)
    ratio = tf.exp(first + (last - first) * numbers[:, ATTEMPTS:_CROP_SLOTS])
    rows, columns = tf.round(tf.sqrt(area / ratio)), tf.round(tf.sqrt(area * ratio))
    fits = (rows <= height[:, None]) & (columns <= width[:, None]) & (rows > 0.0) & (columns > 0.0)
    choice = tf.argmax(tf.cast(fits, tf.int32), axis=1)
    found = tf.reduce_any(fits, axis=1)
    fallback_rows, fallback_columns = _largest_window(height, width, policy)
    box_rows = tf.where(found, tf.gather(rows, choice, batch_dims=1), fallback_rows)
    box_columns = tf.where(found, tf.gather(columns, choice, batch_dims=1), fallback_columns)
    top = _offset(height - box_rows, numbers[:, _CROP_SLOTS], found)
    left = _offset(width - box_columns, numbers[:, _CROP_SLOTS + 1], found)
    return tf.stack([top, left, box_rows, box_columns], axis=1)


def _largest_window(
    height: tf.Tensor, width: tf.Tensor, policy: Policy
) -> tuple[tf.Tensor, tf.Tensor]:
    ratio = tf.clip_by_value(width / height, policy.crop_ratio[0], policy.crop_ratio[1])
    rows = tf.minimum(height, tf.maximum(tf.round(width / ratio), 1.0))
    return rows, tf.minimum(width, tf.maximum(tf.round(height * ratio), 1.0))


def _offset(room: tf.Tensor, number: tf.Tensor, found: tf.Tensor) -> tf.Tensor:
    # number < 1, yet number * (room + 1) may round up to room + 1.
    drawn = tf.minimum(tf.floor(number * (room + 1.0)), room)
    return tf.where(found, drawn, tf.floor(room / 2.0))


def augment(images: tf.Tensor, numbers: tf.Tensor, policy: Policy) -> tf.Tensor:
    """Everything after the crop: [B, 3, S, S] float32 in 0..255 -> [B, 3, S, S] in 0..255.

    Args:
        images: cropped, resized and flipped images.
        numbers: float32 [B, SLOTS] uniform numbers.
        policy: what happens, and how likely.
    """
    draw = {name: numbers[:, _CROP_SLOTS + i] for i, name in enumerate(_NAMES)}
    size = images.shape[2]
    planar, in_rows = ([images.shape[0] or -1, 3, *sides] for sides in ([size, size], [size**2]))
    flat = tf.reshape(images, in_rows)
    if policy.jitter:
        order = tf.minimum(tf.cast(draw["order"] * 24.0, tf.int32), 23)
        flat = jitter(flat, draw["jitter"] < policy.jitter, _factors(draw, policy), order)
    if policy.grey and not policy.rand_augment:
        flat = to_grey(flat, draw["grey"] < policy.grey)
    images = tf.reshape(flat, planar)
    if policy.blur:
        low, high = policy.blur_sigma
        images = blur(images, draw["blur"] < policy.blur, low + (high - low) * draw["sigma"])
    if policy.rand_augment:
        images = _rand_augmented(images, numbers, policy)
        if policy.grey:
            flat = to_grey(tf.reshape(images, in_rows), draw["grey"] < policy.grey)
            images = tf.reshape(flat, planar)
    return solarise(images, draw["solarise"] < policy.solarise) if policy.solarise else images


def _rand_augmented(images: tf.Tensor, numbers: tf.Tensor, policy: Policy) -> tf.Tensor:
    own = numbers[:, _RAND_AUGMENT : _RAND_AUGMENT + policy.rand_augment * NUMBERS]
    level = (policy.rand_magnitude, policy.rand_deviation)
    return rand_augment(images, own, policy.rand_augment, *level)


def finish(images: tf.Tensor) -> tf.Tensor:
    """[B, 3, S, S] in 0..255 -> [B, S, S, 3] as `preprocess_input` makes it.

    The matrix product transposes and scales in one pass: 0.4 ms for 224 px, against 0.75 ms for a
    transposition and a broadcast over channels that are the innermost axis.
    """
    size = images.shape[2]
    std, mean = 255.0 * np.array(IMAGENET_STD), 255.0 * np.array(IMAGENET_MEAN)
    flat = tf.reshape(images, [images.shape[0] or -1, 3, size * size])
    centred = flat - tf.constant(mean[:, None], tf.float32)
    scale = tf.constant(np.diag(1.0 / std)[None], tf.float32)
    if images.shape[0] != 1:
        scale = tf.repeat(scale, tf.shape(images)[0], axis=0)
    return tf.reshape(product(centred, scale, transpose_a=True), [-1, size, size, 3])


def is_flipped(numbers: tf.Tensor, policy: Policy) -> tf.Tensor:
    """bool [B]: whether each view is mirrored."""
    return numbers[:, _CROP_SLOTS + _NAMES.index("flip")] < policy.flip


def _factors(draw: dict[str, tf.Tensor], policy: Policy) -> tf.Tensor:
    columns = []
    for name in ("brightness", "contrast", "saturation"):
        strength = getattr(policy, name)
        low = max(0.0, 1.0 - strength)
        columns.append(low + (1.0 + strength - low) * draw[name])
    columns.append(policy.hue * (2.0 * draw["hue"] - 1.0))
    return tf.stack(columns, axis=1)
