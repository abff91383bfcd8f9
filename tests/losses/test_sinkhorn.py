"""Sinkhorn codes against the scaling of exponentials in float64."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from burn_tf.losses import sinkhorn

SCORES = np.random.default_rng(23).uniform(-1, 1, (12, 4))


def oracle(scores: np.ndarray, epsilon: float = 0.05, iterations: int = 3) -> np.ndarray:
    """The paper's iteration on an assignment matrix whose sum is 1."""
    assignment = np.exp(scores / epsilon)
    assignment /= assignment.sum()
    images, prototypes = scores.shape
    for _ in range(iterations):
        assignment /= prototypes * assignment.sum(axis=0, keepdims=True)
        assignment /= images * assignment.sum(axis=1, keepdims=True)
    return images * assignment


@pytest.mark.parametrize(("epsilon", "iterations"), [(0.05, 3), (0.5, 1), (0.05, 10)])
def test_value(epsilon: float, iterations: int) -> None:
    codes = sinkhorn(SCORES, epsilon, iterations)
    assert codes.dtype == tf.float64
    np.testing.assert_allclose(codes, oracle(SCORES, epsilon, iterations), rtol=1e-10)


def test_rows_are_exact_and_columns_even_out() -> None:
    off = []
    for iterations in (1, 3, 10, 300):
        codes = sinkhorn(SCORES, 0.2, iterations).numpy()
        np.testing.assert_allclose(codes.sum(axis=1), 1, rtol=1e-12)
        off.append(np.abs(codes.sum(axis=0) - 12 / 4).max())
    assert off[0] > off[1] > off[2] > off[3]
    assert off[3] < 1e-9


def test_keeps_the_ratios_that_scaling_of_rows_and_columns_cannot_change() -> None:
    codes = np.log(sinkhorn(SCORES, 0.5).numpy())
    crossed = codes[0, 0] + codes[1, 1] - codes[0, 1] - codes[1, 0]
    expected = (SCORES[0, 0] + SCORES[1, 1] - SCORES[0, 1] - SCORES[1, 0]) / 0.5
    np.testing.assert_allclose(crossed, expected, rtol=1e-9)


def test_a_prototype_that_all_images_prefer_is_shared_out() -> None:
    """Equal rows carry nothing that tells the images apart: every code is even."""
    np.testing.assert_allclose(sinkhorn(np.tile([1.0, 0.0, -1.0], [6, 1])), np.full((6, 3), 1 / 3))
    shifted = SCORES + np.array([0.9, 0.0, -0.4, 0.3])
    np.testing.assert_allclose(sinkhorn(shifted), sinkhorn(SCORES), rtol=1e-9)


def test_no_overflow_in_float32() -> None:
    wanted = np.tile(np.eye(4, dtype=np.float32), [3, 1])
    np.testing.assert_allclose(sinkhorn(40 * wanted - 20), wanted, atol=1e-6)
    codes = sinkhorn(tf.constant(20 * np.sign(SCORES), tf.float32)).numpy()
    np.testing.assert_allclose(codes.sum(axis=1), 1, rtol=1e-5)


def test_no_gradient_and_half_precision(tape_gradient) -> None:
    assert tape_gradient(sinkhorn, SCORES) == [None]
    narrow = tf.cast(SCORES, tf.float16)
    codes = sinkhorn(narrow)
    assert codes.dtype == tf.float32
    np.testing.assert_array_equal(codes, sinkhorn(tf.cast(narrow, tf.float32)))


@pytest.mark.parametrize("bad", [{"epsilon": 0}, {"iterations": 0}, {"iterations": 1.5}])
def test_bad_arguments(bad: dict) -> None:
    with pytest.raises(ValueError, match=f"`{next(iter(bad))}`"):
        sinkhorn(SCORES, **bad)


def test_bad_shape() -> None:
    with pytest.raises(ValueError, match="`scores` must have rank 2"):
        sinkhorn(SCORES[0])
