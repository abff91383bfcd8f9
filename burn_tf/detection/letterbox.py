"""Whole images on a square: one scale for both sides, the rest filled with the mean colour."""

from __future__ import annotations

import tensorflow as tf

from burn_tf.data.preprocessing import preprocess_input


def fitting_scale(size: tf.Tensor, image_size: int) -> tf.Tensor:
    """The factor, float32 [..], at which images of height and width [.., 2] just fit a square."""
    longest = tf.reduce_max(size, axis=-1)
    return tf.cast(image_size, tf.float32) / tf.cast(longest, tf.float32)


def letterbox(
    image: tf.Tensor,
    image_size: int,
    scale: tf.Tensor,
    corner: tf.Tensor,
    *,
    antialias: bool = True,
) -> tf.Tensor:
    """An image at `scale` with its upper left corner at `corner` of a square, normalised.

    Args:
        image: uint8 [H, W, 3].
        image_size: side of the square in pixels.
        scale: float32 scalar, > 0: pixels of the result per pixel of the image.
        corner: float32 [2], top and left in pixels of the result.
        antialias: Pillow's filter when shrinking; False: plain bilinear.

    Returns:
        float32 [S, S, 3]; 0, which is the mean colour, outside the image.
    """
    placed = tf.raw_ops.ScaleAndTranslate(
        images=image[None],
        size=[image_size, image_size],
        scale=tf.stack([scale, scale]),
        translation=corner,
        kernel_type="triangle",
        antialias=antialias,
    )[0]
    ends = corner + tf.cast(tf.shape(image)[:2], tf.float32) * scale
    centres = tf.range(image_size, dtype=tf.float32) + 0.5
    rows, columns = ((centres > corner[axis]) & (centres < ends[axis]) for axis in range(2))
    inside = (rows[:, None] & columns[None, :])[..., None]
    return tf.ensure_shape(
        tf.where(inside, preprocess_input(placed), 0.0), [image_size, image_size, 3]
    )
