"""The singular value loss against np.cov and singular values in float64."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from burn_tf.distribute import num_replicas
from burn_tf.losses import SingularValueLoss, singular_value

RNG = np.random.default_rng(3)
PREDICTIONS = RNG.standard_normal((2, 8, 5)) * [1.0, 2.0, 0.5, 1.0, 3.0] + 4.0


def oracle(predictions: np.ndarray) -> np.ndarray:
    """Squared distance of the covariance's singular values from 1, by SVD of the centred batch."""
    values = []
    for view in predictions:
        singular = np.linalg.svd(view - view.mean(axis=0), compute_uv=False)
        padded = np.zeros(view.shape[1])
        padded[: len(singular)] = singular**2 / (len(view) - 1)
        values.append(((padded - 1) ** 2).sum())
    return np.array(sum(values) / len(values))


@pytest.mark.parametrize(("views", "batch"), [(2, 8), (1, 3), (2, 2)])
def test_value_and_gradient(views: int, batch: int, tape_gradient, central_difference) -> None:
    predictions = PREDICTIONS[:views, :batch]
    value = singular_value(predictions)
    assert value.dtype == tf.float64
    assert value.shape == ()
    np.testing.assert_allclose(value, oracle(predictions), rtol=1e-11)
    (slope,) = tape_gradient(singular_value, predictions)
    expected = central_difference(oracle, predictions)[0]
    np.testing.assert_allclose(slope, expected, rtol=1e-5, atol=1e-6)


def test_value_from_np_cov_and_gradient_in_closed_form(tape_gradient) -> None:
    view = PREDICTIONS[0]
    difference = np.cov(view, rowvar=False) - np.eye(5)
    np.testing.assert_allclose(singular_value(view[np.newaxis]), (difference**2).sum(), rtol=1e-12)
    (slope,) = tape_gradient(singular_value, view[np.newaxis])
    expected = 4 / 7 * (view - view.mean(axis=0)) @ difference
    np.testing.assert_allclose(slope[0], expected, rtol=1e-11, atol=1e-12)


def test_literal_values() -> None:
    assert float(singular_value(tf.ones([3, 6, 4]))) == 4.0
    assert float(singular_value(tf.constant([[[1.0], [3.0], [5.0]]]))) == 9.0


def test_zero_for_white_predictions() -> None:
    white = np.linalg.qr(RNG.standard_normal((8, 6)) - 0.0)[0]
    centred = white - white.mean(axis=0)
    values, vectors = np.linalg.eigh(np.cov(centred, rowvar=False))
    whitened = centred @ vectors / np.sqrt(values)
    np.testing.assert_allclose(singular_value(whitened[np.newaxis]), 0.0, atol=1e-18)


def test_invariant_to_shift_order_and_rotation_but_not_to_scale() -> None:
    value = oracle(PREDICTIONS)
    rotation = np.linalg.qr(RNG.standard_normal((5, 5)))[0]
    for changed in (
        PREDICTIONS + 9,
        PREDICTIONS[:, ::-1],
        PREDICTIONS[::-1],
        PREDICTIONS @ rotation,
    ):
        np.testing.assert_allclose(singular_value(changed), value, rtol=1e-10)
    assert float(singular_value(2 * PREDICTIONS)) > 2 * value


def test_batch_of_one_is_finite(tape_gradient) -> None:
    one = np.ones((2, 1, 5), np.float32)
    assert float(singular_value(one)) == 5.0
    np.testing.assert_array_equal(tape_gradient(singular_value, one)[0], np.zeros_like(one))


def test_two_replicas_equal_one(on_two_replicas, tape_gradient) -> None:
    values, slope = on_two_replicas(
        lambda p: singular_value(p) / num_replicas(), [PREDICTIONS], axes=[1]
    )
    np.testing.assert_allclose(values, [oracle(PREDICTIONS) / 2] * 2, rtol=1e-11)
    np.testing.assert_allclose(slope, tape_gradient(singular_value, PREDICTIONS)[0], rtol=1e-10)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_computed_in_float32(dtype: str) -> None:
    predictions = tf.cast(100 * PREDICTIONS, dtype)
    value = singular_value(predictions)
    assert value.dtype == tf.float32
    np.testing.assert_array_equal(value, singular_value(tf.cast(predictions, tf.float32)))
    assert float(value) > 1e9


def test_loss_and_config() -> None:
    loss = SingularValueLoss(name="x")
    again = SingularValueLoss.from_config(loss.get_config())
    assert again.get_config() == loss.get_config()
    np.testing.assert_allclose(again(None, PREDICTIONS), oracle(PREDICTIONS), rtol=1e-6)


def test_bad_shape() -> None:
    with pytest.raises(ValueError, match="`predictions` must have rank 3"):
        singular_value(PREDICTIONS[0])
