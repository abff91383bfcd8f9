"""W-MSE against NumPy's Cholesky factor in float64, and across replicas."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from burn_tf.losses import WMSELoss, wmse

RNG = np.random.default_rng(28)
EMBEDDINGS = RNG.standard_normal((3, 12, 4)) @ (np.eye(4) + 0.3)
EMBEDDINGS[1:] += EMBEDDINGS[:1]


def whitened(view: np.ndarray, epsilon: float) -> np.ndarray:
    covariance = np.cov(view, rowvar=False)
    share = epsilon * np.trace(covariance) / len(covariance)
    factor = np.linalg.cholesky((1 - epsilon) * covariance + share * np.eye(len(covariance)))
    return np.linalg.solve(factor, (view - view.mean(axis=0)).T).T


def oracle(embeddings: np.ndarray, epsilon: float = 1e-3) -> np.ndarray:
    white = [whitened(view, epsilon) for view in embeddings]
    values = []
    for j in range(len(white)):
        for other in range(j):
            for x, y in zip(white[j], white[other], strict=True):
                values.append(2 - 2 * x @ y / np.sqrt((x @ x) * (y @ y)))
    return np.mean(values)


@pytest.mark.parametrize(("views", "epsilon"), [(2, 1e-3), (3, 0.2)])
def test_value_and_gradient(views: int, epsilon: float, tape_gradient, central_difference) -> None:
    z = EMBEDDINGS[:views]
    value = wmse(z, epsilon)
    assert value.dtype == tf.float64
    assert value.shape == ()
    np.testing.assert_allclose(value, oracle(z, epsilon), rtol=1e-10)
    (slope,) = tape_gradient(lambda x: wmse(x, epsilon), z)
    expected = central_difference(lambda x: oracle(x, epsilon), z)[0]
    np.testing.assert_allclose(slope, expected, rtol=1e-5, atol=1e-7)


def test_extremes() -> None:
    """Equal views agree, opposite ones are at distance 2, unrelated ones at about sqrt 2."""
    view = EMBEDDINGS[0]
    np.testing.assert_allclose(wmse(np.stack([view, view])), 0, atol=1e-12)
    np.testing.assert_allclose(wmse(np.stack([view, -view])), 4, rtol=1e-12)
    unrelated = RNG.standard_normal((2, 4000, 4))
    np.testing.assert_allclose(wmse(unrelated), 2, atol=0.1)


def test_each_view_is_whitened_on_its_own() -> None:
    triangular = np.tril(RNG.standard_normal((4, 4))) + 3 * np.eye(4)
    mixed = EMBEDDINGS[0] @ triangular.T + 7
    np.testing.assert_allclose(wmse(np.stack([EMBEDDINGS[0], mixed]), 1e-12), 0, atol=1e-9)


@pytest.mark.parametrize("batch", [1, 2, 8])
def test_collapsed_embeddings_stay_finite(batch: int, tape_gradient) -> None:
    alike = np.full((2, batch, 4), 0.1, np.float32)
    assert float(wmse(alike)) == 0
    np.testing.assert_array_equal(tape_gradient(wmse, alike)[0], np.zeros_like(alike))


def test_two_replicas_equal_one(check_global_batch) -> None:
    check_global_batch(wmse, EMBEDDINGS, 1)


def test_loss_and_config() -> None:
    loss = WMSELoss(epsilon=0.1, name="x")
    again = WMSELoss.from_config(loss.get_config())
    assert again.get_config() == loss.get_config()
    np.testing.assert_allclose(again(None, EMBEDDINGS), oracle(EMBEDDINGS, 0.1), rtol=1e-6)


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="at least 2 views"):
        wmse(EMBEDDINGS[:1])
    with pytest.raises(ValueError, match="`embeddings` must have rank 3"):
        wmse(EMBEDDINGS[0])
    for epsilon in (0.0, 1.5):
        with pytest.raises(ValueError, match="`epsilon`"):
            WMSELoss(epsilon=epsilon)
