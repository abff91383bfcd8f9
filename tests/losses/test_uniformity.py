"""Alignment and uniformity against explicit loops in float64, and across replicas."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from burn_tf.losses import AlignmentLoss, UniformityLoss, alignment, uniformity

RNG = np.random.default_rng(29)
VECTORS, OTHERS = RNG.standard_normal((2, 6, 4))


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.sqrt((vectors**2).sum(axis=-1, keepdims=True))


def uniformity_oracle(vectors: np.ndarray, t: float = 2.0) -> np.ndarray:
    x = unit(vectors)
    potentials = [
        np.exp(-t * ((x[i] - x[j]) ** 2).sum())
        for i in range(len(x))
        for j in range(len(x))
        if i != j
    ]
    return np.log(np.mean(potentials))


def alignment_oracle(first: np.ndarray, second: np.ndarray, alpha: float = 2.0) -> np.ndarray:
    return np.sqrt(((unit(first) - unit(second)) ** 2).sum(axis=-1)) ** alpha


@pytest.mark.parametrize("t", [2.0, 0.5, 10.0])
def test_uniformity_value_and_gradient(t: float, tape_gradient, central_difference) -> None:
    value = uniformity(VECTORS, t)
    assert value.dtype == tf.float64
    np.testing.assert_allclose(value, uniformity_oracle(VECTORS, t), rtol=1e-11)
    (slope,) = tape_gradient(lambda x: uniformity(x, t), VECTORS)
    expected = central_difference(lambda x: uniformity_oracle(x, t), VECTORS)[0]
    np.testing.assert_allclose(slope, expected, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("alpha", [1.0, 2.0, 3.0])
def test_alignment_value_and_gradient(alpha: float, tape_gradient, central_difference) -> None:
    value = alignment(VECTORS, OTHERS, alpha)
    assert value.dtype == tf.float64
    np.testing.assert_allclose(value, alignment_oracle(VECTORS, OTHERS, alpha), rtol=1e-11)
    slopes = tape_gradient(lambda x, y: alignment(x, y, alpha), VECTORS, OTHERS)
    expected = central_difference(lambda x, y: alignment_oracle(x, y, alpha), VECTORS, OTHERS)
    for slope, numeric in zip(slopes, expected, strict=True):
        np.testing.assert_allclose(slope, numeric, rtol=1e-5, atol=1e-8)


def test_literal_values() -> None:
    east, north = [5.0, 0.0], [0.0, 1.0]
    west = [-0.1, 0.0]
    np.testing.assert_allclose(uniformity([east, west]), -8, rtol=1e-6)
    np.testing.assert_allclose(uniformity([east, north], 0.5), -1, rtol=1e-6)
    np.testing.assert_allclose(uniformity([east, east, east]), 0, atol=1e-6)
    np.testing.assert_allclose(alignment([east, east], [west, north]), [4, 2], rtol=1e-6)
    np.testing.assert_allclose(alignment([east, east], [west, north], 1), [2, 2**0.5], rtol=1e-6)


def test_uniform_points_reach_the_value_of_the_uniform_law() -> None:
    """On the circle the mean of exp(-2 t (1 - cos)) is exp(-2 t) I_0(2 t); I_0(4) = 11.3019."""
    angles = np.arange(2000) * 2 * np.pi / 2000
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    np.testing.assert_allclose(uniformity(circle), np.log(11.3019220) - 4, atol=3e-3)
    assert float(uniformity(circle[:1000])) > float(uniformity(circle)) + 0.1


def test_invariances() -> None:
    rotation = np.linalg.qr(RNG.standard_normal((4, 4)))[0]
    np.testing.assert_allclose(
        uniformity(7 * VECTORS[::-1] @ rotation), uniformity(VECTORS), rtol=1e-11
    )
    np.testing.assert_allclose(
        alignment(3 * OTHERS @ rotation, VECTORS @ rotation), alignment(VECTORS, OTHERS), rtol=1e-11
    )


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_vectors_of_no_length_or_all_alike_stay_finite(batch: int, tape_gradient) -> None:
    for vectors in (np.zeros((batch, 3), np.float32), np.ones((batch, 3), np.float32)):
        np.testing.assert_allclose(uniformity(vectors), 0, atol=1e-6)
        (slope,) = tape_gradient(uniformity, vectors)
        np.testing.assert_allclose(slope, np.zeros_like(vectors), atol=1e-6)
        for alpha in (0.5, 1.0, 2.0):
            assert not np.any(alignment(vectors, vectors, alpha))
            slopes = tape_gradient(lambda x, y, a=alpha: alignment(x, y, a), vectors, vectors)
            np.testing.assert_array_equal(slopes, np.zeros((2, batch, 3)))


def test_nan_is_not_hidden() -> None:
    assert np.isnan(alignment([[np.nan, 1.0]], [[1.0, 1.0]])).all()
    assert np.isnan(uniformity([[np.nan, 1.0], [1.0, 1.0]]))


def test_two_replicas_equal_one(check_global_batch) -> None:
    check_global_batch(uniformity, VECTORS, 0)


def test_losses_and_configs() -> None:
    for loss, arguments, expected in (
        (UniformityLoss(t=3.0, name="u"), (None, VECTORS), uniformity_oracle(VECTORS, 3.0)),
        (
            AlignmentLoss(alpha=1.0, name="a"),
            (VECTORS, OTHERS),
            alignment_oracle(VECTORS, OTHERS, 1.0).mean(),
        ),
    ):
        again = type(loss).from_config(loss.get_config())
        assert again.get_config() == loss.get_config()
        np.testing.assert_allclose(again(*arguments), expected, rtol=1e-6)


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="`vectors` must have rank 2"):
        uniformity(VECTORS[0])
    with pytest.raises(ValueError, match="same batch and channels"):
        alignment(VECTORS, OTHERS[:2])
    with pytest.raises(ValueError, match="`first` must have rank 2"):
        alignment(VECTORS[0], OTHERS)
    with pytest.raises(ValueError, match="`t` must"):
        UniformityLoss(t=0)
    with pytest.raises(ValueError, match="`alpha` must"):
        AlignmentLoss(alpha=0)
