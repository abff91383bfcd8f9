"""What methods are compared with: their networks' outputs, in NumPy; and a network for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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


def assert_replicas_equal_one(
    make: Callable[[tf.keras.Model], Any], replicas: tf.distribute.Strategy, batch: int
) -> None:
    """Every weight after the updates of 24 images with two views: from one replica, and from many.

    `make` builds the method on a backbone without weights.
    """
    rng = np.random.default_rng(0)
    images = tuple(rng.standard_normal((24, 4, 4, 3)).astype(np.float32) for _ in range(2))
    ends = []
    for strategy in (tf.distribute.get_strategy(), replicas):
        with strategy.scope():
            tf.keras.utils.set_random_seed(1)
            inputs = tf.keras.Input((4, 4, 3))
            model = make(tf.keras.Model(inputs, tf.keras.layers.Flatten()(inputs)))
            model.compile(tf.keras.optimizers.SGD(0.1))
        model.fit(tf.data.Dataset.from_tensor_slices(images).batch(batch), verbose=0)
        ends.append([np.array(weight) for weight in model.weights])
    for alone, shared in zip(*ends, strict=True):
        np.testing.assert_allclose(shared, alone, rtol=1e-3, atol=1e-5)
