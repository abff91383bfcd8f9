"""`ScaledSign` in closed form."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from burn_tf.layers import ScaledSign
from burn_tf.layers.quantizers import scaled_sign

# Large enough to be compiled in the graph of a training step.
SHAPE = (3, 3, 256, 128)


def kernel_of(shape: tuple[int, ...] = (3, 3, 4, 5), scale: float = 0.8) -> np.ndarray:
    kernel = np.random.default_rng(3).normal(scale=scale, size=shape)
    kernel[0, 0, 0, :4] = 0.0, 1.0, -1.0, 1.25
    return kernel


def reference(kernel: np.ndarray) -> np.ndarray:
    magnitude = np.abs(kernel).reshape(-1, kernel.shape[-1]).mean(axis=0)
    return np.where(kernel >= 0, 1.0, -1.0) * magnitude


@pytest.mark.parametrize("shape", [(3, 3, 4, 5), (1, 1, 7, 3), (6, 2)])
def test_values(shape):
    kernel = np.random.default_rng(1).normal(size=shape)
    np.testing.assert_allclose(ScaledSign()(tf.constant(kernel)), reference(kernel), rtol=1e-12)


def test_zero_is_positive():
    assert ScaledSign()([[0.0], [-2.0]]).numpy().ravel().tolist() == [1.0, -1.0]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gradient_is_one_up_to_one_and_not_scaled(dtype):
    kernel = tf.constant(kernel_of(), dtype)
    upstream = tf.constant(np.random.default_rng(4).normal(size=kernel.shape), dtype)
    with tf.GradientTape() as tape:
        tape.watch(kernel)
        quantized = ScaledSign()(kernel)
    actual = tape.gradient(quantized, kernel, output_gradients=upstream).numpy()
    expected = upstream.numpy() * (np.abs(kernel.numpy()) <= 1)
    np.testing.assert_array_equal(actual, expected)
    assert 0 < (actual == 0).mean() < 0.5


def test_half_precision_is_computed_in_float32():
    # Summed in bfloat16 the mean of these would stop growing at 256.
    kernel = tf.cast(np.full((3, 3, 128, 2), 0.75), tf.bfloat16)
    quantized = ScaledSign()(kernel)
    assert quantized.dtype == tf.bfloat16
    np.testing.assert_array_equal(tf.cast(quantized, tf.float32).numpy(), 0.75)


def test_mixed_precision_does_not_round_the_latent_weights():
    tf.keras.mixed_precision.set_global_policy("mixed_bfloat16")
    # In bfloat16 1.001 is 1, and 1 lets the gradient pass.
    kernel = tf.constant([[1.001], [0.5]])
    with tf.GradientTape() as tape:
        tape.watch(kernel)
        quantized = ScaledSign()(kernel)
    assert quantized.dtype == tf.float32
    np.testing.assert_allclose(quantized.numpy().ravel(), 0.7505, rtol=1e-6)
    assert tape.gradient(quantized, kernel).numpy().ravel().tolist() == [0.0, 1.0]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_compiled_for_training_equals_plain(dtype):
    kernel = tf.constant(kernel_of(SHAPE), tf.float32)

    def both(training: bool) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(kernel)
            quantized = scaled_sign(kernel, dtype=dtype, training=training)
        return quantized, tape.gradient(quantized, kernel)

    compiled = [tf.cast(part, tf.float32).numpy() for part in tf.function(both)(True)]
    plain = [tf.cast(part, tf.float32).numpy() for part in both(False)]
    # Means of another order of addition may round to the neighbouring bfloat16.
    tolerance = 1e-5 if dtype == "float32" else 2**-7
    np.testing.assert_allclose(compiled[0], plain[0], rtol=tolerance)
    np.testing.assert_allclose(compiled[0], reference(kernel.numpy()), rtol=tolerance)
    np.testing.assert_array_equal(compiled[1], plain[1])


def test_marks_the_kernel_as_one_bit():
    assert ScaledSign().precision == 1
    assert ScaledSign().get_config()["name"].startswith("scaled_sign")
