"""The one normalisation that every view, evaluation image and exported model shares."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def preprocess_input(images: Any) -> tf.Tensor:
    """Scales pixels of 0..255 to the range the backbones are trained on.

        y = (x / 255 - mean) / std          mean, std per channel: ImageNet's

    Args:
        images: [..., H, W, 3], uint8 or floating point, values in 0..255, RGB.

    Returns:
        float32 tensor of the same shape.

    Example:
        >>> import numpy as np
        >>> import burn_tf
        >>> y = burn_tf.data.preprocess_input(np.full([1, 2, 2, 3], 255, np.uint8))
        >>> [round(float(v), 4) for v in y[0, 0, 0]]
        [2.2489, 2.4286, 2.64]

    Source: the constants of torchvision's and the papers' ImageNet models.
    Departs from source: none.
    """
    values = tf.cast(images, tf.float32)
    std = tf.constant(IMAGENET_STD, tf.float32)
    return values * (1.0 / (255.0 * std)) - tf.constant(IMAGENET_MEAN, tf.float32) / std
