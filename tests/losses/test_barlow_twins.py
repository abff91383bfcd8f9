"""Barlow Twins' loss against np.corrcoef in float64, and across replicas."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from burn_tf.losses import BarlowTwinsLoss, barlow_twins

RNG = np.random.default_rng(25)
EMBEDDINGS = RNG.standard_normal((3, 8, 5)) * [1.0, 2.0, 0.5, 1.0, 3.0] + 4.0
EMBEDDINGS[1:] += EMBEDDINGS[:1]


def oracle(embeddings: np.ndarray, weight: float = 5e-3, epsilon: float = 1e-5) -> np.ndarray:
    views, images, channels = embeddings.shape
    values = []
    for j in range(views):
        for other in range(j):
            correlations = np.zeros((channels, channels))
            for a in range(channels):
                for b in range(channels):
                    x, y = embeddings[j, :, a], embeddings[other, :, b]
                    covariance = ((x - x.mean()) * (y - y.mean())).sum() / images
                    correlations[a, b] = covariance / np.sqrt(
                        (x.var() + epsilon) * (y.var() + epsilon)
                    )
            diagonal = np.diag(correlations)
            off = (correlations**2).sum() - (diagonal**2).sum()
            values.append(((1 - diagonal) ** 2).sum() + weight * off)
    return np.mean(values)


@pytest.mark.parametrize(("views", "batch"), [(2, 8), (3, 8), (2, 3)])
def test_value_and_gradient(views: int, batch: int, tape_gradient, central_difference) -> None:
    z = EMBEDDINGS[:views, :batch]
    value = barlow_twins(z, 0.3)
    assert value.dtype == tf.float64
    assert value.shape == ()
    np.testing.assert_allclose(value, oracle(z, 0.3), rtol=1e-11)
    (slope,) = tape_gradient(lambda x: barlow_twins(x, 0.3), z)
    expected = central_difference(lambda x: oracle(x, 0.3), z)[0]
    np.testing.assert_allclose(slope, expected, rtol=1e-5, atol=1e-7)


def test_value_from_np_corrcoef() -> None:
    first, second = 1e4 * EMBEDDINGS[:2]
    c = np.corrcoef(first, second, rowvar=False)[:5, 5:]
    weights = np.where(np.eye(5), 1, 5e-3)
    expected = (weights * (c - np.eye(5)) ** 2).sum()
    np.testing.assert_allclose(barlow_twins(1e4 * EMBEDDINGS[:2]), expected, rtol=1e-9)


def test_literal_values() -> None:
    """Equal views of one channel twice: C is all ones. Opposite views: minus ones."""
    channel = np.array([[-1.0], [1.0], [-1.0], [1.0]]) * 1e4
    twice = np.concatenate([channel, channel], axis=1)
    np.testing.assert_allclose(barlow_twins(np.stack([twice, twice]), 0.25), 0.5, rtol=1e-6)
    np.testing.assert_allclose(barlow_twins(np.stack([twice, -twice]), 0.25), 8.5, rtol=1e-6)


def test_invariant_to_shift_scale_and_order() -> None:
    value = oracle(EMBEDDINGS, epsilon=0)
    scale = 1e5 * np.array([1.0, 3.0, 9.0, 2.0, 5.0])
    for changed in (scale * EMBEDDINGS - 1e6, 1e5 * EMBEDDINGS[::-1, ::-1, ::-1]):
        np.testing.assert_allclose(barlow_twins(changed), value, rtol=1e-8)


@pytest.mark.parametrize("batch", [1, 8])
def test_constant_channels_stay_finite(batch: int, tape_gradient) -> None:
    constant = np.full((2, batch, 5), 7, np.float32)
    assert float(barlow_twins(constant)) == 5.0
    np.testing.assert_array_equal(tape_gradient(barlow_twins, constant)[0], np.zeros_like(constant))


def test_two_replicas_equal_one(check_global_batch) -> None:
    check_global_batch(barlow_twins, EMBEDDINGS, 1)


def test_loss_and_config() -> None:
    loss = BarlowTwinsLoss(redundancy_weight=0.5, name="x")
    again = BarlowTwinsLoss.from_config(loss.get_config())
    assert again.get_config() == loss.get_config()
    np.testing.assert_allclose(again(None, EMBEDDINGS), oracle(EMBEDDINGS, 0.5), rtol=1e-6)


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="at least 2 views"):
        barlow_twins(EMBEDDINGS[:1])
    with pytest.raises(ValueError, match="`embeddings` must have rank 3"):
        barlow_twins(EMBEDDINGS[0])
    with pytest.raises(ValueError, match="`redundancy_weight`"):
        BarlowTwinsLoss(redundancy_weight=-1)
