"""Small binary models with random shifts and statistics: the initial ones vanish in a file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import larq
import numpy as np
import pytest
import tensorflow as tf

from burn_tf import export

SIDE = 10


def _shaken(model: tf.keras.Model, seed: int = 0) -> tf.keras.Model:
    rng = np.random.default_rng(seed)
    for variable in model.variables:
        if "variance" in variable.name or "gamma" in variable.name:
            variable.assign(rng.uniform(0.5, 1.5, variable.shape))
        elif "kernel" not in variable.name:
            variable.assign(rng.normal(0.0, 0.3, variable.shape))
        else:
            variable.assign(rng.normal(0.0, 0.5, variable.shape))
    return model


def _larq_model(
    *,
    side: int | None = SIDE,
    channels: int = 40,
    input_quantizer: Any = "ste_sign",
    kernel_quantizer: Any = "ste_sign",
    pad_values: float = 1.0,
    seed: int = 0,
) -> tf.keras.Model:
    layers = tf.keras.layers
    inputs = layers.Input((side, side, 3))
    x = layers.Conv2D(channels, 3, padding="same", name="stem")(inputs)
    for index in range(2):
        binary = larq.layers.QuantConv2D(
            channels,
            3,
            padding="same",
            pad_values=pad_values,
            use_bias=False,
            input_quantizer=input_quantizer,
            kernel_quantizer=kernel_quantizer,
            kernel_constraint="weight_clip",
            name=f"binary_{index}",
        )
        x = layers.Add()([x, layers.BatchNormalization()(binary(layers.BatchNormalization()(x)))])
    x = layers.GlobalAveragePooling2D()(x)
    return _shaken(tf.keras.Model(inputs, layers.Dense(7, name="top")(x)), seed)


def _signed_scales(model: tf.keras.Model) -> tf.keras.Model:
    rng = np.random.default_rng(3)
    for variable in model.variables:
        if "gamma" in variable.name:
            scale = rng.normal(size=variable.shape)
            variable.assign(np.where(rng.random(variable.shape) < 0.1, 0.0, scale))
    return model


@pytest.fixture(scope="session")
def signed_scales() -> Callable[[tf.keras.Model], tf.keras.Model]:
    """Gives a model batch norm scales of both signs, and some of 0."""
    return _signed_scales


@pytest.fixture(scope="session")
def shaken() -> Callable[..., tf.keras.Model]:
    return _shaken


@pytest.fixture(scope="session")
def larq_model() -> Callable[..., tf.keras.Model]:
    return _larq_model


@pytest.fixture(scope="session")
def model() -> tf.keras.Model:
    return _larq_model()


@pytest.fixture(scope="session")
def exported(model: tf.keras.Model) -> export.ExportedModel:
    return export.to_lce(model)


@pytest.fixture(scope="session")
def images() -> np.ndarray:
    return np.random.default_rng(7).normal(size=(48, SIDE, SIDE, 3)).astype(np.float32)
