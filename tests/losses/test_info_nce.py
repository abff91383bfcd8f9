"""InfoNCE against explicit sums of exponentials in float64."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from burn_tf.losses import info_nce

RNG = np.random.default_rng(21)
QUERIES, KEYS = RNG.standard_normal((2, 3, 5))
NEGATIVES = RNG.standard_normal((7, 5))


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.sqrt((vectors**2).sum(axis=-1, keepdims=True))


def oracle(queries: np.ndarray, temperature: float = 0.2) -> np.ndarray:
    values = []
    for query, key in zip(unit(queries), unit(KEYS), strict=True):
        right = np.exp(query @ key / temperature)
        wrong = sum(np.exp(query @ other / temperature) for other in unit(NEGATIVES))
        values.append(-np.log(right / (right + wrong)))
    return np.array(values)


@pytest.mark.parametrize("temperature", [0.07, 0.2, 1.0])
def test_value_and_gradient(temperature: float, tape_gradient, central_difference) -> None:
    value = info_nce(QUERIES, KEYS, NEGATIVES, temperature)
    assert value.dtype == tf.float64
    np.testing.assert_allclose(value, oracle(QUERIES, temperature), rtol=1e-11)
    slope, key_slope, negative_slope = tape_gradient(
        lambda q, k, n: info_nce(q, k, n, temperature), QUERIES, KEYS, NEGATIVES
    )
    assert key_slope is None
    assert negative_slope is None
    expected = central_difference(lambda q: oracle(q, temperature), QUERIES)[0]
    np.testing.assert_allclose(slope, expected, rtol=1e-5, atol=1e-7)


def test_literal_values() -> None:
    """All alike: log(Q + 1). Right key at cosine 1, two negatives at 0: log(1 + 2 / e)."""
    ones = np.ones((2, 4))
    np.testing.assert_allclose(info_nce(ones, ones, np.ones((9, 4))), np.log([10, 10]))
    east, north = [[2.0, 0.0]], [[0.0, 3.0], [0.0, -1.0]]
    np.testing.assert_allclose(info_nce(east, east, north, 1.0), np.log(1 + 2 / np.e), rtol=1e-6)


def test_invariant_to_lengths_and_to_the_order_of_the_queue() -> None:
    changed = info_nce(3 * QUERIES, KEYS / 7, 2 * NEGATIVES[::-1])
    np.testing.assert_allclose(changed, oracle(QUERIES), rtol=1e-11)


def test_zero_vectors_and_small_temperatures_stay_finite(tape_gradient) -> None:
    zeros, queue = np.zeros((2, 5), np.float32), NEGATIVES.astype(np.float32)
    np.testing.assert_allclose(info_nce(zeros, zeros, queue), np.log([8, 8]), rtol=1e-6)
    for queries in (zeros, QUERIES.astype(np.float32)):
        (slope,) = tape_gradient(lambda q: info_nce(q, KEYS[: len(q)], queue, 1e-4), queries)
        assert np.isfinite(slope).all()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_computed_in_float32(dtype: str) -> None:
    narrow = [tf.cast(x, dtype) for x in (QUERIES, KEYS, NEGATIVES)]
    value = info_nce(*narrow)
    assert value.dtype == tf.float32
    np.testing.assert_array_equal(value, info_nce(*[tf.cast(x, tf.float32) for x in narrow]))


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match=r"`temperature`.*Received: 0"):
        info_nce(QUERIES, KEYS, NEGATIVES, 0)
    with pytest.raises(ValueError, match="same batch and channels"):
        info_nce(QUERIES, KEYS[:2], NEGATIVES)
    with pytest.raises(ValueError, match="`negatives` must have the channels of `queries`"):
        info_nce(QUERIES, KEYS, NEGATIVES[:, :4])
    with pytest.raises(ValueError, match="`negatives` must have rank 2"):
        info_nce(QUERIES, KEYS, NEGATIVES[0])
