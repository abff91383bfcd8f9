"""The Brownian loss and its noise."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from burn_tf.losses import BrownianLoss, brownian, brownian_noise

RNG = np.random.default_rng(4)
NOISE = RNG.standard_normal((3, 5))
PREDICTIONS = RNG.standard_normal((4, 3, 5))


def oracle(noise: np.ndarray, predictions: np.ndarray) -> np.ndarray:
    values = np.zeros(len(noise))
    for image, n in enumerate(noise):
        for p in predictions[:, image]:
            values[image] += n @ p / np.sqrt((n @ n) * (p @ p)) / len(predictions)
    return values


def test_value_and_gradient(tape_gradient, central_difference) -> None:
    value = brownian(NOISE, PREDICTIONS)
    assert value.dtype == tf.float64
    np.testing.assert_allclose(value, oracle(NOISE, PREDICTIONS), rtol=1e-12)
    noise_slope, slope = tape_gradient(brownian, NOISE, PREDICTIONS)
    assert noise_slope is None
    expected = central_difference(lambda p: oracle(NOISE, p), PREDICTIONS)[0]
    np.testing.assert_allclose(slope, expected, rtol=1e-6, atol=1e-9)


def test_literal_values() -> None:
    noise = tf.constant([[0.0, 2.0], [1.0, 0.0]])
    predictions = tf.constant([[[0.0, -5.0], [3.0, 0.0]], [[7.0, 0.0], [1.0, 0.0]]])
    np.testing.assert_array_equal(brownian(noise, predictions), [-0.5, 1.0])


def test_gradient_step_moves_against_the_noise(tape_gradient) -> None:
    (slope,) = tape_gradient(lambda p: brownian(NOISE, p), PREDICTIONS)
    after = brownian(NOISE, PREDICTIONS - 0.01 * slope)
    assert np.all(after < brownian(NOISE, PREDICTIONS))


def test_invariant_to_lengths_order_of_views_and_rotation() -> None:
    value = brownian(NOISE, PREDICTIONS)
    rotation = np.linalg.qr(RNG.standard_normal((5, 5)))[0]
    np.testing.assert_allclose(brownian(3 * NOISE, PREDICTIONS / 9), value, rtol=1e-12)
    np.testing.assert_allclose(brownian(NOISE, PREDICTIONS[::-1]), value, rtol=1e-12)
    turned = brownian(NOISE @ rotation, PREDICTIONS @ rotation)
    np.testing.assert_allclose(turned, value, rtol=1e-11)


def test_zero_vectors_stay_finite(tape_gradient) -> None:
    zeros = np.zeros((4, 3, 5))
    np.testing.assert_array_equal(brownian(NOISE, zeros), np.zeros(3))
    np.testing.assert_array_equal(tape_gradient(lambda p: brownian(NOISE, p), zeros)[0], zeros)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_computed_in_float32(dtype: str) -> None:
    predictions = tf.cast(1e4 * PREDICTIONS, dtype)
    noise = NOISE.astype(np.float32)
    value = brownian(noise, predictions)
    assert value.dtype == tf.float32
    np.testing.assert_array_equal(value, brownian(noise, tf.cast(predictions, tf.float32)))


def test_loss_and_config() -> None:
    loss = BrownianLoss(name="x")
    again = BrownianLoss.from_config(loss.get_config())
    assert again.get_config() == loss.get_config()
    expected = oracle(NOISE, PREDICTIONS).mean()
    np.testing.assert_allclose(again(NOISE, PREDICTIONS), expected, rtol=1e-5)


def test_bad_shapes() -> None:
    with pytest.raises(ValueError, match="same batch and channels"):
        brownian(NOISE[:2], PREDICTIONS)
    with pytest.raises(ValueError, match="`noise` must have rank 2"):
        brownian(PREDICTIONS, PREDICTIONS)
    with pytest.raises(ValueError, match="`seed_pair` must hold two numbers"):
        brownian_noise([1, 2, 3], 0, 4, 5)


class TestNoise:
    def test_same_arguments_same_noise_eager_and_graph(self) -> None:
        draw = tf.function(brownian_noise)
        expected = brownian_noise((1, 2), 3, 4, 5)
        np.testing.assert_array_equal(brownian_noise((1, 2), 3, 4, 5), expected)
        step = tf.constant(3, tf.int64)
        np.testing.assert_array_equal(draw((1, 2), step, tf.constant(4), 5), expected)

    def test_literal_values_for_a_seed(self) -> None:
        expected = [[0.03197195, 0.8979765, 0.13253039]]
        np.testing.assert_allclose(brownian_noise((1, 2), 3, 1, 3), expected, rtol=1e-5)

    @pytest.mark.parametrize("other", [((2, 2), 3), ((1, 3), 3), ((1, 2), 4)])
    def test_seed_and_step_change_every_number(self, other: tuple) -> None:
        seed, step = other
        assert np.all(brownian_noise(seed, step, 4, 5) != brownian_noise((1, 2), 3, 4, 5))

    def test_images_have_noise_of_their_own(self) -> None:
        rows = brownian_noise((1, 2), 3, 64, 8).numpy()
        assert len(np.unique(rows)) == rows.size

    def test_standard_normal(self) -> None:
        drawn = brownian_noise((0, 0), 0, 2000, 50).numpy().ravel()
        moments = [drawn.mean(), drawn.var(), (drawn**3).mean(), (drawn**4).mean()]
        np.testing.assert_allclose(moments, [0, 1, 0, 3], atol=0.06)
