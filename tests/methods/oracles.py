"""What methods are compared with: their networks' outputs, in NumPy; and a network for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from burn_tf import layers

FIRST_STEP = tf.constant(0, tf.int64)


def small_backbone(seed: int = 1) -> tf.keras.Model:
    """One binary convolution of images of any size; ReActNet would only take longer."""
    tf.keras.utils.set_random_seed(seed)
    x = images = tf.keras.Input((None, None, 3))
    for layer in (
        layers.RSign(),
        layers.BinaryConv2D(6, 3, strides=2),
        layers.BatchNorm(),
        layers.RPReLU(),
        tf.keras.layers.GlobalAveragePooling2D(),
    ):
        x = layer(x)
    return tf.keras.Model(images, x)


def unit(x: np.ndarray) -> np.ndarray:
    """Directions of the last axis; a zero vector, which ReLU can give, has none."""
    return x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), 1e-30)


def embeddings_of(model: Any, views: Sequence[tf.Tensor]) -> np.ndarray:
    """[K, B, d] float64 from the model's backbone and projector on their own."""
    outputs = [model.projector(model.backbone(v, training=True), training=True) for v in views]
    return np.stack(outputs).astype(np.float64)


def loss_and_terms(
    model: Any, views: Sequence[tf.Tensor], step: tf.Tensor = FIRST_STEP
) -> tuple[float, dict[str, float]]:
    """The model's loss and terms at one update, as numbers."""
    loss, terms = model.total_loss(model.compute_terms(views, step), step)
    return float(loss), {name: float(value) for name, value in terms.items()}


def layers_of(network: tf.keras.Model) -> list[str]:
    """The kinds of a network's layers behind its input."""
    return [type(layer).__name__ for layer in network.layers[1:]]
