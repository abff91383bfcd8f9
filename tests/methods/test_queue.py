"""The ring of keys, and its log-sum-exp, against NumPy in float64."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.losses import info_nce
from burn_tf.methods import KeyQueue, queue

RNG = np.random.default_rng(4)


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def test_wraps_around_and_forgets_the_oldest() -> None:
    ring = KeyQueue(size=6, dim=2)
    pushed = RNG.standard_normal((10, 2)).astype(np.float32)
    for start in range(0, 10, 2):
        ring.push(tf.constant(pushed[start : start + 2]))
    assert int(ring.position) == 10 % 6
    np.testing.assert_array_equal(ring.keys, [*pushed[6:10], *pushed[4:6]])


def test_starts_with_unit_vectors_of_its_seed() -> None:
    keys = KeyQueue(50, 7, seed=3).keys.numpy()
    np.testing.assert_allclose(np.linalg.norm(keys, axis=1), 1.0, rtol=1e-6)
    np.testing.assert_array_equal(keys, KeyQueue(50, 7, seed=3).keys)
    assert np.any(keys != KeyQueue(50, 7, seed=4).keys)


@pytest.mark.parametrize("temperature", [0.2, 0.01])
@pytest.mark.parametrize("rows", [3, 7, 100])
def test_log_sum_exp_in_blocks(
    rows: int, temperature: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blocks of every size, the last one shorter, in a graph; value and gradient."""
    monkeypatch.setattr(queue, "_BLOCK_ROWS", rows)
    ring, queries = KeyQueue(10, 4), unit(RNG.standard_normal((5, 4)))
    slopes = RNG.standard_normal(5).astype(np.float32)

    @tf.function
    def measure(x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = ring.log_sum_exp(x, temperature)
        return value, tape.gradient(value, x, output_gradients=slopes)

    value, gradient = measure(tf.constant(queries))
    keys = ring.keys.numpy().astype(np.float64)
    logits = queries.astype(np.float64) @ keys.T / temperature
    highest = logits.max(axis=1, keepdims=True)
    weights = np.exp(logits - highest)
    expected = highest[:, 0] + np.log(weights.sum(axis=1))
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    softmax = weights / weights.sum(axis=1, keepdims=True)
    wanted = slopes[:, None] * (softmax @ keys) / temperature
    np.testing.assert_allclose(gradient, wanted, rtol=1e-4, atol=1e-4)


def test_equals_info_nce_over_all_keys() -> None:
    ring = KeyQueue(12, 4)
    queries, keys = (tf.constant(unit(RNG.standard_normal((5, 4)))) for _ in range(2))
    positive = tf.reduce_sum(queries * keys, axis=1) / 0.2
    both = tf.stack([positive, ring.log_sum_exp(queries, 0.2)])
    value = tf.reduce_logsumexp(both, axis=0) - positive
    np.testing.assert_allclose(value, info_nce(queries, keys, ring.keys, 0.2), rtol=1e-5)


def test_refuses() -> None:
    with pytest.raises(UserError, match="`queue_size` must be a multiple of the batch"):
        KeyQueue(10, 2).check_batch(4)
    KeyQueue(12, 2).check_batch(4)
    with pytest.raises(UserError, match="`queue_size` must be a whole number"):
        KeyQueue(0, 2)
    with pytest.raises(UserError, match="`temperature` must be a number"):
        KeyQueue(4, 2).log_sum_exp(tf.zeros([1, 2]), 0.0)
