"""Whitening against NumPy's Cholesky factor in float64; batches of low rank in float32."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from burn_tf.losses import whiten

RNG = np.random.default_rng(27)
MIXING = np.diag([1.0, 2.0, 0.3]) + 0.4
VECTORS = RNG.standard_normal((9, 3)) @ MIXING + 5.0
WEIGHTS = RNG.standard_normal((9, 3))


def oracle(vectors: np.ndarray, epsilon: float = 1e-3) -> np.ndarray:
    covariance = np.atleast_2d(np.cov(vectors, rowvar=False))
    size = len(covariance)
    mixed = (1 - epsilon) * covariance + epsilon * np.trace(covariance) / size * np.eye(size)
    return (vectors - vectors.mean(axis=0)) @ np.linalg.inv(np.linalg.cholesky(mixed)).T


@pytest.mark.parametrize("epsilon", [1e-3, 0.3, 1.0])
@pytest.mark.parametrize("images", [9, 3])
def test_value_and_gradient(images: int, epsilon: float, tape_gradient, central_difference) -> None:
    vectors, weights = VECTORS[:images], WEIGHTS[:images]
    value = whiten(vectors, epsilon)
    assert value.dtype == tf.float64
    np.testing.assert_allclose(value, oracle(vectors, epsilon), rtol=1e-9, atol=1e-10)
    (slope,) = tape_gradient(lambda v: whiten(v, epsilon) * weights, vectors)
    expected = central_difference(lambda v: oracle(v, epsilon) * weights, vectors)[0]
    np.testing.assert_allclose(slope, expected, rtol=1e-5, atol=1e-6)


def test_covariance_is_the_identity_as_epsilon_vanishes() -> None:
    white = whiten(VECTORS, 1e-10).numpy()
    np.testing.assert_allclose(white.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(np.cov(white, rowvar=False), np.eye(3), atol=1e-7)


def test_each_channel_depends_on_the_earlier_ones_alone() -> None:
    """The factor is triangular: this is Cholesky's whitening, not the symmetric one."""
    changed = VECTORS.copy()
    changed[:, 2] = RNG.standard_normal(9)
    before, after = whiten(VECTORS, 1e-10).numpy(), whiten(changed, 1e-10).numpy()
    np.testing.assert_allclose(after[:, :2], before[:, :2], rtol=1e-6)
    assert np.abs(after[:, 2] - before[:, 2]).max() > 0.1


@pytest.mark.parametrize("scale", [1e-8, 1e8, 1e25])
def test_invariant_to_shift_and_scale_even_where_squares_overflow(scale: float) -> None:
    centre = VECTORS.mean(axis=0)
    vectors = tf.constant(scale * (VECTORS - centre), tf.float32)
    np.testing.assert_allclose(whiten(vectors), oracle(VECTORS), rtol=1e-4, atol=1e-4)


LOW_RANK = {
    "fewer images than channels": RNG.standard_normal((8, 64)),
    "one direction": np.outer(RNG.standard_normal(40), RNG.standard_normal(64)),
    "one direction of many channels": np.outer(RNG.standard_normal(16), np.ones(1024)),
    "one image apart": np.r_[np.zeros((31, 64)), np.full((1, 64), 1e6)] + 3.0,
    "spread over 12 magnitudes": RNG.standard_normal((32, 64)) * np.logspace(-6, 6, 64),
    "two images": RNG.standard_normal((2, 5)),
}


@pytest.mark.parametrize("name", LOW_RANK)
def test_low_rank_in_float32(name: str, tape_gradient) -> None:
    """Finite, and no direction gets more variance than it should have."""
    vectors = LOW_RANK[name].astype(np.float32)
    white = whiten(vectors).numpy()
    spread = np.linalg.norm(np.cov(white.astype(np.float64), rowvar=False), 2)
    assert 0.1 < spread < 1.05
    (slope,) = tape_gradient(lambda v: tf.square(whiten(v)), vectors)
    assert np.isfinite(slope).all()


@pytest.mark.parametrize("value", [0.0, 0.1, 1e30])
@pytest.mark.parametrize("images", [1, 7])
def test_vectors_that_are_all_alike_become_0(value: float, images: int, tape_gradient) -> None:
    """The mean of seven times 0.1 is not quite 0.1: rounding must not be blown up to 1."""
    alike = np.full((images, 4), value, np.float32)
    np.testing.assert_array_equal(whiten(alike), np.zeros_like(alike))
    (slope,) = tape_gradient(lambda v: whiten(v) * [1.0, 2.0, 3.0, 4.0], alike)
    np.testing.assert_array_equal(slope, np.zeros_like(alike))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("wrap", [lambda f: f, tf.function], ids=["eager", "graph"])
def test_nan_and_infinity_are_not_hidden(bad: float, wrap) -> None:
    vectors = VECTORS.astype(np.float32)
    vectors[2, 1] = bad
    assert np.isnan(wrap(whiten)(tf.constant(vectors))).any()


def test_half_precision_is_computed_in_float32() -> None:
    narrow = tf.cast(VECTORS, tf.bfloat16)
    white = whiten(narrow)
    assert white.dtype == tf.float32
    np.testing.assert_array_equal(white, whiten(tf.cast(narrow, tf.float32)))


def test_bad_arguments() -> None:
    for epsilon in (0.0, 1.5):
        with pytest.raises(
            ValueError, match=r"`epsilon` must be a number with 0\.0 < value <= 1\.0"
        ):
            whiten(VECTORS, epsilon)
    with pytest.raises(ValueError, match="`vectors` must have rank 2"):
        whiten(VECTORS[0])
