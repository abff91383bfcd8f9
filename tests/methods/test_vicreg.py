"""VICReg's three terms and their weights against NumPy."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.methods.vicreg import VICReg
from tests.methods.oracles import embeddings_of, loss_and_terms, small_backbone

Views = Callable[..., tuple[tf.Tensor, ...]]


def spread(z: np.ndarray) -> float:
    """Eqs. 1 and 2: how far each output's deviation falls short of 1."""
    return float(np.maximum(0, 1 - np.sqrt(z.var(axis=0, ddof=1) + 1e-4)).mean())


def redundancy(z: np.ndarray) -> float:
    """Eqs. 3 and 4."""
    covariance = np.cov(z.T, ddof=1)
    return float((np.square(covariance).sum() - np.square(np.diag(covariance)).sum()) / z.shape[1])


def distance(first: np.ndarray, second: np.ndarray) -> float:
    """Eq. 5."""
    return float(np.square(first - second).sum(axis=1).mean())


FORMS = {"equation_5": 1.0, "algorithm_1": 1 / 6}


@pytest.mark.parametrize(("count", "form"), [(2, "algorithm_1"), (3, "equation_5")])
def test_terms_equal_the_formulas(views: Views, count: int, form: str) -> None:
    model = VICReg(small_backbone(), hidden_dim=16, embedding_dim=6, invariance_form=form)
    images = views(count, batch=12)
    pairs = list(itertools.combinations(embeddings_of(model, images), 2))
    expected = {
        "invariance": FORMS[form] * np.mean([distance(a, b) for a, b in pairs]),
        "variance": np.mean([spread(a) + spread(b) for a, b in pairs]),
        "covariance": np.mean([redundancy(a) + redundancy(b) for a, b in pairs]),
    }
    loss, terms = loss_and_terms(model, images)
    assert terms == {name: pytest.approx(value, rel=1e-3) for name, value in expected.items()}
    whole = 25 * terms["invariance"] + 25 * terms["variance"] + terms["covariance"]
    assert loss == pytest.approx(whole, rel=1e-5)


def test_weights_are_the_arguments(views: Views) -> None:
    sizes: dict[str, Any] = {"hidden_dim": 8, "embedding_dim": 6}
    model = VICReg(
        small_backbone(), **sizes, invariance_weight=0.5, variance_weight=2.0, covariance_weight=3.0
    )
    loss, terms = loss_and_terms(model, views(2))
    whole = 0.5 * terms["invariance"] + 2 * terms["variance"] + 3 * terms["covariance"]
    assert loss == pytest.approx(whole, rel=1e-5)


def test_refuses() -> None:
    sizes: dict[str, Any] = {"hidden_dim": 8, "embedding_dim": 6}
    for name in ("invariance_weight", "variance_weight", "covariance_weight"):
        with pytest.raises(UserError, match=f"`{name}` must be a number with 0"):
            VICReg(small_backbone(), **sizes, **{name: -1.0})
    with pytest.raises(UserError, match="Did you mean 'algorithm_1'"):
        VICReg(small_backbone(), **sizes, invariance_form="algorithm")
    with pytest.raises(UserError, match="`batch_size` must be a whole number with 2 <= value"):
        VICReg(small_backbone(), **sizes).check_batch(1)
