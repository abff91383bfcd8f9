"""SwAV's prototypes: cosines, lengths that do not matter, gradients that can be frozen."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.methods.prototypes import Prototypes
from tests.methods.oracles import unit


@pytest.fixture
def embeddings() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((6, 4)).astype(np.float32)


def test_scores_are_cosines_of_any_length(embeddings: np.ndarray) -> None:
    layer = Prototypes(5)
    scores = layer(embeddings)
    (kernel,) = layer.get_weights()
    assert kernel.shape == (5, 4)
    np.testing.assert_allclose(scores, unit(embeddings) @ unit(kernel).T, atol=1e-6)
    layer.set_weights([kernel * np.array([[0.1], [1], [2], [5], [100]])])
    np.testing.assert_allclose(layer(7 * embeddings), scores, atol=1e-6)


def test_frozen_prototypes_pass_gradients_to_embeddings_alone(embeddings: np.ndarray) -> None:
    layer, inputs = Prototypes(5), tf.constant(embeddings)
    slopes = {}
    for frozen in (False, True):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            total = tf.reduce_sum(layer(inputs, frozen=tf.constant(frozen)) ** 3)
        slopes[frozen] = tape.gradient(total, [inputs, layer.kernel])
    np.testing.assert_array_equal(slopes[True][0], slopes[False][0])
    np.testing.assert_array_equal(slopes[True][1], np.zeros((5, 4)))
    assert np.abs(slopes[False][1]).max() > 0.1
    radial = np.sum(slopes[False][1] * layer.kernel, axis=1)
    np.testing.assert_allclose(radial, 0, atol=1e-5, err_msg="a length that would grow")


def test_scores_are_float32_in_half_precision(embeddings: np.ndarray) -> None:
    layer = Prototypes(5)
    expected = layer(embeddings)
    tf.keras.mixed_precision.set_global_policy("mixed_bfloat16")
    half = Prototypes(5)
    half.build((None, 4))
    half.set_weights(layer.get_weights())
    np.testing.assert_array_equal(half(embeddings), expected)


def test_refuses() -> None:
    with pytest.raises(UserError, match="`num_prototypes` must be a whole number with 2 <= value"):
        Prototypes(1)
