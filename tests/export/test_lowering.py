"""Binary layers as bits: the arithmetic, in TensorFlow and in the file."""

from __future__ import annotations

from typing import Any

import larq
import numpy as np
import pytest
import tensorflow as tf

from burn_tf.export.graph import flat_graph
from burn_tf.export.lowering import lower_binary_layers, shifted_step, step
from burn_tf.export.preparation import frozen_model
from burn_tf.layers import BatchNorm, BinaryConv2D, RSign

Layers = tf.keras.layers


def images(*shape: int) -> np.ndarray:
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    x[0, 0] = 0.0  # ties, which are +1
    return x


def assert_lowered(model: tf.keras.Model, count: int, size: tuple[int, ...]) -> None:
    """The lowered copy computes the same, and `count` layers convolve bits."""
    x = images(3, *size)
    copy = frozen_model(model)
    done = lower_binary_layers(flat_graph(copy)[0], shifted_step)
    assert len(done) == count
    expected = model(x).numpy()
    assert expected.std() > 0.1
    np.testing.assert_allclose(copy(x), expected, rtol=1e-4, atol=1e-4)


def test_step_is_one_above_zero_only() -> None:
    values = [-np.inf, -3.0, -1e-30, -0.0, 0.0, 1e-30, 0.5, 1.0, 7.0, np.inf]
    assert step(tf.constant(values)).numpy().tolist() == [0] * 5 + [1] * 5


@pytest.mark.parametrize("pad_values", [0.0, 1.0])
@pytest.mark.parametrize(("size", "strides"), [((7, 5), 1), ((7, 5), 2), ((8, 6), 2), ((2, 1), 1)])
@pytest.mark.parametrize("binarize", ["both", "activations"])
def test_convolutions_of_ours(
    binarize: str, size: tuple[int, int], strides: int, pad_values: float, shaken: Any
) -> None:
    inputs = tf.keras.Input((*size, 6))
    bits = RSign()(inputs)
    conv = BinaryConv2D(5, 3, strides=strides, pad_values=pad_values, binarize=binarize)
    model = shaken(tf.keras.Model(inputs, BatchNorm()(conv(bits))))
    assert_lowered(model, 1, (*size, 6))


def test_two_convolutions_share_a_sign(shaken: Any) -> None:
    inputs = tf.keras.Input((4, 4, 6))
    bits = RSign()(inputs)
    halves = [BinaryConv2D(6, 1)(bits), BinaryConv2D(6, 3, pad_values=0.0)(bits)]
    assert_lowered(shaken(tf.keras.Model(inputs, Layers.Concatenate()(halves))), 2, (4, 4, 6))


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"padding": "valid"},
        {"pad_values": 1.0},
        {"use_bias": False, "activation": "relu"},
        {"dilation_rate": 2, "pad_values": 1.0},
        {"strides": 2},
    ],
)
def test_convolutions_of_larq(settings: dict[str, Any], shaken: Any) -> None:
    inputs = tf.keras.Input((7, 6, 6))
    conv = larq.layers.QuantConv2D(
        5,
        3,
        input_quantizer="approx_sign",
        kernel_quantizer="ste_sign",
        kernel_constraint="weight_clip",
        **{"padding": "same"} | settings,
    )
    assert_lowered(shaken(tf.keras.Model(inputs, conv(inputs))), 1, (7, 6, 6))


def test_a_sign_with_another_consumer_stays_a_sign(shaken: Any) -> None:
    inputs = tf.keras.Input((4, 4, 6))
    signs = RSign()(inputs)
    both = Layers.Add()([BinaryConv2D(6, 3)(signs), signs])
    assert_lowered(shaken(tf.keras.Model(inputs, both)), 0, (4, 4, 6))


def test_a_pool_between_sign_and_convolution_stays(shaken: Any) -> None:
    inputs = tf.keras.Input((4, 4, 6))
    pooled = Layers.MaxPooling2D()(RSign()(inputs))
    assert_lowered(shaken(tf.keras.Model(inputs, BinaryConv2D(6, 3)(pooled))), 0, (4, 4, 6))


def test_a_real_activation_stays(shaken: Any) -> None:
    inputs = tf.keras.Input((4, 4, 6))
    model = tf.keras.Model(inputs, BinaryConv2D(6, 3)(RSign(binarize=False)(inputs)))
    assert_lowered(shaken(model), 0, (4, 4, 6))


def test_models_in_models(shaken: Any) -> None:
    inner_inputs = tf.keras.Input((4, 4, 6))
    inner = tf.keras.Model(inner_inputs, BinaryConv2D(6, 3)(RSign()(inner_inputs)))
    model = tf.keras.Sequential([Layers.InputLayer((4, 4, 6)), Layers.Conv2D(6, 1), inner])
    assert_lowered(shaken(model), 1, (4, 4, 6))
