"""Heads against their formula in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.layers import BatchNorm, burn_classifier, mlp_head


def randomized(model: tf.keras.Model) -> tf.keras.Model:
    rng = np.random.default_rng(0)
    model.set_weights([rng.uniform(0.2, 1.2, size=value.shape) for value in model.get_weights()])
    return model


def features() -> np.ndarray:
    # Keras takes inputs as float32 whatever the policy.
    return np.random.default_rng(1).normal(size=(7, 6)).astype(np.float32).astype(float)


def normalized(x: np.ndarray, axis: int) -> np.ndarray:
    return (x - x.mean(axis, keepdims=True)) / np.sqrt(x.var(axis, keepdims=True) + 1e-5)


@pytest.mark.parametrize("norm", ["batch", "layer", "none"])
def test_values_in_training(norm):
    tf.keras.mixed_precision.set_global_policy("float64")
    head = randomized(mlp_head(6, [5, 4], 3, norm=norm))
    x = features()
    for index in range(2):
        kernel, bias = head.get_layer(f"hidden_{index}").get_weights()
        x = x @ kernel + bias
        if norm != "none":
            gamma, beta = head.get_layer(f"norm_{index}").get_weights()[:2]
            x = normalized(x, 0 if norm == "batch" else 1) * gamma + beta
        x = np.maximum(x, 0)
    kernel, bias = head.get_layer("output").get_weights()
    np.testing.assert_allclose(
        head(features(), training=True).numpy(), x @ kernel + bias, rtol=1e-9
    )


def test_burn_classifier_has_the_authors_layers():
    head = burn_classifier(1024)
    kinds = [type(layer).__name__ for layer in head.layers if layer.weights or "relu" in layer.name]
    assert kinds == ["Dense", "BatchNorm", "ReLU", "Dense"]
    assert head.output_shape == (None, 2000)
    dense = 1024 * 2000 + 2000 + 2000 * 2000 + 2000
    assert head.count_params() == dense + 4 * 2000
    assert isinstance(head.get_layer("norm_0"), BatchNorm)


def test_without_bias_or_hidden_layer():
    assert mlp_head(6, [], 3, bias=False).count_params() == 18
    assert mlp_head(6, [4], 3, norm="none", bias=False).count_params() == 24 + 12


def test_mixed_precision_gives_float32():
    tf.keras.mixed_precision.set_global_policy("mixed_bfloat16")
    head = mlp_head(6, [5], 3)
    assert head(features()).dtype == tf.float32
    assert head.get_layer("hidden_0").compute_dtype == "bfloat16"


def test_refusals():
    with pytest.raises(UserError, match=r"`norm`.*Did you mean 'batch'.*Received: 'bath'"):
        mlp_head(6, [5], 3, norm="bath")
    with pytest.raises(UserError, match=r"`hidden_dims`.*Received: 0"):
        mlp_head(6, [0], 3)
    with pytest.raises(UserError, match=r"`output_dim`.*Received: -1"):
        burn_classifier(6, -1)
