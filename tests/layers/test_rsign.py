"""`RSign` and both gradient estimators in closed form."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.layers import RSign

SHIFT = np.array([0.25, -0.5, 0.0])
# With the shifts above these reach 0, +-1 and both sides of them, all exactly.
POINTS = np.array([-2.0, -1.5, -1.25, -1.0, -0.75, -0.5, -0.25, 0.0, 0.5, 0.75, 1.0, 1.5, 2.0])


def layer_with_shift(estimator: str = "approx", binarize: bool = True) -> RSign:
    layer = RSign(estimator=estimator, binarize=binarize)
    layer.build([None, 3])
    layer.set_weights([SHIFT])
    return layer


def points() -> np.ndarray:
    return np.repeat(POINTS[:, None], 3, axis=1)


def derivative(shifted: np.ndarray, estimator: str) -> np.ndarray:
    size = np.abs(shifted)
    if estimator == "approx":
        return np.where(size < 1, 2 - 2 * size, 0)
    return np.where(size <= 1, 1.0, 0.0)


def test_values():
    expected = np.where(points() + SHIFT >= 0, 1, -1)
    actual = layer_with_shift()(points()).numpy()
    np.testing.assert_array_equal(actual, expected)
    assert actual[POINTS == -0.25, 0] == 1, "sign(0) is +1"


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_thresholds_are_not_rounded(policy: str, training: bool) -> None:
    tf.keras.mixed_precision.set_global_policy(policy)
    layer = RSign()
    layer.build([None, 2])
    # Half precision rounds both to 1, and the sums to 0.
    layer.set_weights([np.array([-1 - 2.0**-13, -1 + 2.0**-13], np.float32)])
    outputs = layer(tf.ones([1, 2]), training=training)
    assert outputs.dtype.size == 2
    assert tf.cast(outputs, tf.float32).numpy().tolist() == [[-1.0, 1.0]]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float64"])
@pytest.mark.parametrize("estimator", ["approx", "ste"])
def test_gradients(estimator, dtype):
    tf.keras.mixed_precision.set_global_policy("mixed_bfloat16" if dtype == "bfloat16" else dtype)
    layer = layer_with_shift(estimator)
    inputs = tf.constant(points(), dtype)
    upstream = np.random.default_rng(0).integers(-4, 5, size=inputs.shape)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = layer(inputs)
    assert outputs.dtype == dtype
    gradients = tape.gradient(
        outputs, [inputs, layer.shift], output_gradients=tf.constant(upstream, dtype)
    )
    expected = upstream * derivative(points() + SHIFT, estimator)
    np.testing.assert_array_equal(tf.cast(gradients[0], tf.float64).numpy(), expected)
    np.testing.assert_array_equal(gradients[1].numpy(), expected.sum(axis=0))


@pytest.mark.parametrize("estimator", ["approx", "ste"])
def test_float_mode_passes_the_shifted_input(estimator):
    layer = layer_with_shift(estimator, binarize=False)
    inputs = tf.constant(points(), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = layer(inputs)
    np.testing.assert_array_equal(outputs.numpy(), points() + SHIFT)
    gradients = tape.gradient(outputs, [inputs, layer.shift])
    np.testing.assert_array_equal(gradients[0].numpy(), 1)
    np.testing.assert_array_equal(gradients[1].numpy(), len(POINTS))


@pytest.mark.parametrize("estimator", ["approx", "ste"])
def test_compiled_for_training_equals_plain(estimator):
    layer = layer_with_shift(estimator)
    inputs = tf.random.stateless_normal([8, 128, 128, 3], seed=(1, 2))

    def step(training: bool) -> tuple[tf.Tensor, list[tf.Tensor]]:
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = layer(inputs, training=training)
        return outputs, tape.gradient(outputs, [inputs, layer.shift], output_gradients=inputs)

    values, gradients = tf.function(step)(True)
    plain_values, plain_gradients = step(False)
    np.testing.assert_array_equal(values.numpy(), plain_values.numpy())
    for compiled, plain in zip(gradients, plain_gradients, strict=True):
        np.testing.assert_allclose(compiled.numpy(), plain.numpy(), rtol=1e-5, atol=1e-6)


def test_nan_is_not_hidden():
    inputs = tf.constant(np.full([1, 2, 3], np.nan), tf.float32)
    assert np.isnan(layer_with_shift()(inputs).numpy()).all()


def test_unknown_estimator():
    with pytest.raises(UserError, match=r"`estimator`.*'approx'.*Received: 'aprox'"):
        RSign(estimator="aprox")
