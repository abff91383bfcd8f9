"""`RPReLU` and its four gradients in closed form."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from burn_tf.layers import RPReLU

SHIFT_IN = np.array([0.25, -0.5, 0.0])
SLOPE = np.array([0.25, -1.5, 2.0])
SHIFT_OUT = np.array([1.0, 0.5, -0.25])


def built_layer() -> RPReLU:
    layer = RPReLU()
    layer.build([None, 3])
    layer.set_weights([SHIFT_IN, SLOPE, SHIFT_OUT])
    return layer


def points() -> np.ndarray:
    return np.random.default_rng(0).integers(-8, 9, size=(5, 4, 4, 3)) / 4


def test_starts_as_prelu_with_slope_a_quarter():
    layer = RPReLU()
    assert layer(tf.constant([[-4.0, 0.0, 4.0]])).numpy().tolist() == [[-1.0, 0.0, 4.0]]
    assert [weight.name.split(":")[0].split("/")[-1] for weight in layer.weights] == [
        "shift_in",
        "slope",
        "shift_out",
    ]


@pytest.mark.parametrize("training", [False, True])
def test_values(training):
    shifted = points() + SHIFT_IN
    expected = np.where(shifted > 0, shifted, SLOPE * shifted) + SHIFT_OUT
    actual = built_layer()(points(), training=training)
    np.testing.assert_allclose(actual.numpy(), expected, rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float64"])
def test_gradients(dtype):
    tf.keras.mixed_precision.set_global_policy("mixed_bfloat16" if dtype == "bfloat16" else dtype)
    layer = built_layer()
    inputs = tf.constant(points(), dtype)
    upstream = np.random.default_rng(1).integers(-2, 3, size=inputs.shape)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = layer(inputs)
    assert outputs.dtype == dtype
    actual = tape.gradient(
        outputs,
        [inputs, layer.shift_in, layer.slope, layer.shift_out],
        output_gradients=tf.constant(upstream, dtype),
    )
    shifted = points() + SHIFT_IN
    downstream = np.where(shifted > 0, upstream, SLOPE * upstream)
    sums = [downstream, np.where(shifted > 0, 0, shifted * upstream), upstream]
    expected = [downstream, *(terms.sum(axis=(0, 1, 2)) for terms in sums)]
    for computed, wanted in zip(actual, expected, strict=True):
        np.testing.assert_allclose(
            tf.cast(computed, tf.float64).numpy(), wanted, rtol=2**-8 if dtype == "bfloat16" else 0
        )


def test_compiled_for_training_equals_plain():
    layer = built_layer()
    inputs = tf.random.stateless_normal([8, 128, 128, 3], seed=(1, 2))

    def step(training: bool) -> tuple[tf.Tensor, list[tf.Tensor]]:
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = layer(inputs, training=training)
        sources = [inputs, *layer.trainable_variables]
        return outputs, tape.gradient(outputs, sources, output_gradients=inputs)

    values, gradients = tf.function(step)(True)
    plain_values, plain_gradients = step(False)
    np.testing.assert_allclose(values.numpy(), plain_values.numpy(), rtol=1e-5, atol=1e-6)
    for compiled, plain in zip(gradients, plain_gradients, strict=True):
        np.testing.assert_allclose(compiled.numpy(), plain.numpy(), rtol=1e-4, atol=1e-5)
