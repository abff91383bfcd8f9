"""The normalisation inside a file: pixels in, so that an app needs no knowledge of the training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.data.preprocessing import IMAGENET_MEAN, IMAGENET_STD

Forward = Callable[[tf.Tensor], Any]


def check_pixels(input_dtype: str, shape: tuple[int, int, int]) -> None:
    """Raise where pixels are asked for and a model does not take RGB images."""
    if input_dtype == "uint8" and shape[2] != len(IMAGENET_MEAN):
        raise UserError(
            "`input_dtype` 'uint8' is for RGB images: pass input_dtype='float32'. "
            f"Received: a model with {shape[2]} channels"
        )


def per_channel(scale: np.ndarray, offset: np.ndarray) -> Callable[[tf.Tensor], tf.Tensor]:
    """scale * images + offset as one operator, with one scale for each channel."""
    kernel = np.asarray(scale, np.float32).reshape(1, 1, -1, 1)
    bias = np.asarray(offset, np.float32)

    def call(images: tf.Tensor) -> tf.Tensor:
        return tf.nn.depthwise_conv2d(images, kernel, [1, 1, 1, 1], "VALID") + bias

    return call


def from_pixels(
    forward: Forward, input_dtype: str, mark: Callable[[tf.Tensor], tf.Tensor] | None = None
) -> Forward:
    """A function of preprocessed images as one of a file's input.

    Args:
        forward: of preprocessed float32 images.
        input_dtype: "uint8" for pixels, which are normalised; of others nothing is changed.
        mark: what is done to the pixels' float values first.
    """
    if input_dtype != "uint8":
        return forward
    std = np.array(IMAGENET_STD)
    normalise = per_channel(1 / (255 * std), -np.array(IMAGENET_MEAN) / std)

    def changed(images: tf.Tensor) -> Any:
        values = tf.cast(images, tf.float32)
        return forward(normalise(values if mark is None else mark(values)))

    return changed
