"""Small networks for methods."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf

from burn_tf import backbones

SIZE = 16


@pytest.fixture
def student() -> tf.keras.Model:
    tf.keras.utils.set_random_seed(1)
    return backbones.ReActNetTiny((SIZE, SIZE, 3), include_top=False, pooling="avg")


@pytest.fixture
def teacher() -> tf.keras.Model:
    tf.keras.utils.set_random_seed(2)
    return backbones.ResNet18((SIZE, SIZE, 3), include_top=False, pooling="avg", width=0.0625)


@pytest.fixture
def views() -> Callable[[int], tuple[tf.Tensor, ...]]:
    def make(count: int, batch: int = 6) -> tuple[tf.Tensor, ...]:
        rng = np.random.default_rng(0)
        shape = (batch, SIZE, SIZE, 3)
        return tuple(tf.constant(rng.standard_normal(shape), tf.float32) for _ in range(count))

    return make
