"""The centroid loss against explicit loops in float64."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from burn_tf.losses import CentroidLoss, centroid

RNG = np.random.default_rng(2)
TARGETS, PREDICTIONS = RNG.standard_normal((2, 4, 3, 5))


def unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.sqrt((vector**2).sum())


def oracle(targets: np.ndarray, predictions: np.ndarray) -> np.ndarray:
    values = []
    for image in range(targets.shape[1]):
        centre = sum(unit(view) for view in targets[:, image]) / len(targets)
        distances = [((unit(view) - centre) ** 2).sum() for view in predictions[:, image]]
        values.append(sum(distances) / len(predictions))
    return np.array(values)


@pytest.mark.parametrize(("targets", "predictions"), [(4, 4), (2, 4), (4, 1), (1, 1)])
def test_value_and_gradient(
    targets: int, predictions: int, tape_gradient, central_difference
) -> None:
    z, p = TARGETS[:targets], PREDICTIONS[:predictions]
    value = centroid(z, p)
    assert value.dtype == tf.float64
    np.testing.assert_allclose(value, oracle(z, p), rtol=1e-12)
    target_slope, slope = tape_gradient(centroid, z, p)
    assert target_slope is None
    expected = central_difference(lambda x: oracle(z, x), p)[0]
    np.testing.assert_allclose(slope, expected, rtol=1e-6, atol=1e-9)


def test_literal_values() -> None:
    east, north = [2.0, 0.0], [0.0, 3.0]
    views = tf.constant([[east, east, north], [east, north, north]])
    np.testing.assert_allclose(centroid(views, views), [0.0, 0.5, 0.0], atol=1e-7)
    np.testing.assert_allclose(centroid(views, -views), [4.0, 2.5, 4.0], rtol=1e-6)


def test_invariant_to_length_order_of_views_and_rotation() -> None:
    value = centroid(TARGETS, PREDICTIONS)
    np.testing.assert_allclose(centroid(3 * TARGETS, PREDICTIONS / 7), value, rtol=1e-12)
    np.testing.assert_allclose(
        centroid(TARGETS[::-1], PREDICTIONS[[2, 0, 3, 1]]), value, rtol=1e-12
    )
    rotation = np.linalg.qr(RNG.standard_normal((5, 5)))[0]
    turned = centroid(TARGETS @ rotation, PREDICTIONS @ rotation)
    np.testing.assert_allclose(turned, value, rtol=1e-12)


def test_images_do_not_mix() -> None:
    alone = [centroid(TARGETS[:, i : i + 1], PREDICTIONS[:, i : i + 1])[0] for i in range(3)]
    np.testing.assert_allclose(centroid(TARGETS, PREDICTIONS), alone, rtol=1e-12)


def test_gradient_is_that_of_the_mean_over_all_pairs(tape_gradient) -> None:
    def pairs(predictions: tf.Tensor) -> tf.Tensor:
        p = tf.math.l2_normalize(predictions, axis=-1)
        z = tf.math.l2_normalize(TARGETS, axis=-1)
        return -2 * tf.einsum("jbd,lbd->b", p, z) / 16

    (slope,) = tape_gradient(lambda p: centroid(TARGETS, p), PREDICTIONS)
    np.testing.assert_allclose(slope, tape_gradient(pairs, PREDICTIONS)[0], rtol=1e-10)


def test_zero_vectors_stay_finite(tape_gradient) -> None:
    zeros = np.zeros((2, 3, 5), np.float32)
    np.testing.assert_array_equal(centroid(zeros, zeros), np.zeros(3))
    np.testing.assert_array_equal(tape_gradient(lambda p: centroid(zeros, p), zeros)[0], zeros)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_computed_in_float32(dtype: str) -> None:
    targets, predictions = tf.cast(1e4 * TARGETS, dtype), tf.cast(1e4 * PREDICTIONS, dtype)
    value = centroid(targets, predictions)
    assert value.dtype == tf.float32
    wide = centroid(tf.cast(targets, tf.float32), tf.cast(predictions, tf.float32))
    np.testing.assert_array_equal(value, wide)


def test_loss_and_config() -> None:
    loss = CentroidLoss(name="x")
    again = CentroidLoss.from_config(loss.get_config())
    assert again.get_config() == loss.get_config()
    np.testing.assert_allclose(
        again(TARGETS, PREDICTIONS), oracle(TARGETS, PREDICTIONS).mean(), rtol=1e-6
    )


def test_bad_shapes() -> None:
    with pytest.raises(ValueError, match="same batch and channels"):
        centroid(TARGETS, PREDICTIONS[:, :2])
    with pytest.raises(ValueError, match="rank 3"):
        CentroidLoss()(TARGETS[0], PREDICTIONS[0])
