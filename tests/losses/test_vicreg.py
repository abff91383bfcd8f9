"""VICReg's terms against np.cov and loops in float64, and across replicas."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf

from burn_tf.losses import VICRegLoss, covariance, invariance, variance

RNG = np.random.default_rng(26)
EMBEDDINGS = RNG.standard_normal((3, 8, 5)) * [1.0, 0.2, 0.5, 1.0, 3.0] + 4.0


def invariance_oracle(embeddings: np.ndarray, form: str = "algorithm_1") -> np.ndarray:
    views = len(embeddings)
    pairs = [(j, other) for j in range(views) for other in range(j)]
    values = sum(((embeddings[j] - embeddings[k]) ** 2).sum(axis=1) for j, k in pairs) / len(pairs)
    return values / (1 if form == "equation_5" else embeddings.shape[-1])


def variance_oracle(
    embeddings: np.ndarray, target: float = 1.0, epsilon: float = 1e-4
) -> np.ndarray:
    short = [
        max(0.0, target - np.sqrt(channel.var(ddof=1) + epsilon))
        for view in embeddings
        for channel in view.T
    ]
    return 2 * np.mean(short)


def covariance_oracle(embeddings: np.ndarray) -> np.ndarray:
    values = []
    for view in embeddings:
        matrix = np.cov(view, rowvar=False)
        values.append((matrix[~np.eye(len(matrix), dtype=bool)] ** 2).sum() / len(matrix))
    return 2 * np.mean(values)


TERMS: dict[str, tuple[Callable[..., tf.Tensor], Callable[..., np.ndarray]]] = {
    "invariance": (invariance, invariance_oracle),
    "variance": (variance, variance_oracle),
    "covariance": (covariance, covariance_oracle),
}


@pytest.mark.parametrize("name", TERMS)
@pytest.mark.parametrize(("views", "batch"), [(2, 8), (3, 8), (2, 3)])
def test_value_and_gradient(
    name: str, views: int, batch: int, tape_gradient, central_difference
) -> None:
    term, oracle = TERMS[name]
    z = EMBEDDINGS[:views, :batch]
    value = term(z)
    assert value.dtype == tf.float64
    np.testing.assert_allclose(value, oracle(z), rtol=1e-11)
    expected = central_difference(oracle, z)[0]
    np.testing.assert_allclose(tape_gradient(term, z)[0], expected, rtol=1e-5, atol=1e-7)


def test_options() -> None:
    z = EMBEDDINGS[:2]
    np.testing.assert_allclose(
        invariance(z, "equation_5"), invariance_oracle(z, "equation_5"), rtol=1e-12
    )
    np.testing.assert_allclose(variance(z, 2.5, 0.1), variance_oracle(z, 2.5, 0.1), rtol=1e-12)


def test_two_views_are_the_sum_of_equation_6() -> None:
    one, two = EMBEDDINGS[:1], EMBEDDINGS[1:2]
    for term in (variance, covariance):
        separate = (term(one) + term(two)) / 2
        np.testing.assert_allclose(term(EMBEDDINGS[:2]), separate, rtol=1e-12)
    # Both views constant: 1 - sqrt(1e-4) from each.
    np.testing.assert_allclose(variance(np.ones((2, 6, 4))), 2 * 0.99, rtol=1e-12)
    # Two channels of variance 2 and covariance 2: twice 4 off the diagonal, over d, per view.
    same = np.array([[[1.0, 1.0], [-1.0, -1.0]]] * 2)
    assert float(covariance(same)) == 8.0


def test_invariances() -> None:
    z = EMBEDDINGS[:2]
    np.testing.assert_allclose(variance(z + 9), variance(z), rtol=1e-10)
    np.testing.assert_allclose(covariance(9 - z[:, ::-1]), covariance(z), rtol=1e-10)
    np.testing.assert_allclose(invariance(z[::-1] + 3), invariance(z), rtol=1e-10)
    assert float(variance(100 * z)) == 0
    np.testing.assert_allclose(covariance(2 * z), 16 * covariance(z), rtol=1e-10)


@pytest.mark.parametrize("batch", [1, 6])
def test_constant_embeddings_stay_finite(batch: int, tape_gradient) -> None:
    constant = np.full((2, batch, 4), 3, np.float32)
    np.testing.assert_allclose(variance(constant), 1.98, rtol=1e-6)
    assert float(covariance(constant)) == 0
    for term in (invariance, variance, covariance):
        np.testing.assert_array_equal(tape_gradient(term, constant)[0], np.zeros_like(constant))


@pytest.mark.parametrize("term", [variance, covariance])
def test_two_replicas_equal_one(term, check_global_batch) -> None:
    check_global_batch(term, EMBEDDINGS, 1)


def test_loss_and_config() -> None:
    loss = VICRegLoss(2.0, 3.0, 0.5, form="equation_5", name="x")
    again = VICRegLoss.from_config(loss.get_config())
    assert again.get_config() == loss.get_config()
    expected = (
        2 * invariance_oracle(EMBEDDINGS, "equation_5").mean()
        + 3 * variance_oracle(EMBEDDINGS)
        + 0.5 * covariance_oracle(EMBEDDINGS)
    )
    np.testing.assert_allclose(again(None, EMBEDDINGS), expected, rtol=1e-6)


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="at least 2 views"):
        invariance(EMBEDDINGS[:1])
    with pytest.raises(ValueError, match=r"`form`.*Did you mean 'equation_5'"):
        VICRegLoss(form="equation_6")
    for term in (invariance, variance, covariance):
        with pytest.raises(ValueError, match="`embeddings` must have rank 3"):
            term(EMBEDDINGS[0])
    with pytest.raises(ValueError, match="`epsilon`"):
        variance(EMBEDDINGS, epsilon=0)
    with pytest.raises(ValueError, match="`target`"):
        variance(EMBEDDINGS, target=0)
    for name in ("invariance_weight", "variance_weight", "covariance_weight"):
        with pytest.raises(ValueError, match=f"`{name}`"):
            VICRegLoss(**{name: -1})
