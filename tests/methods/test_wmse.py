"""W-MSE's whitened distances against NumPy."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.methods.wmse import WMSE
from tests.methods.oracles import embeddings_of, layers_of, loss_and_terms, small_backbone, unit

Views = Callable[..., tuple[tf.Tensor, ...]]
SIZES: dict[str, Any] = {"hidden_dim": 8, "embedding_dim": 4}


def whitened(z: np.ndarray, epsilon: float) -> np.ndarray:
    size = z.shape[1]
    covariance = np.cov(z.T, ddof=1)
    mixed = (1 - epsilon) * covariance + epsilon * np.trace(covariance) / size * np.eye(size)
    return np.linalg.solve(np.linalg.cholesky(mixed), (z - z.mean(axis=0)).T).T


@pytest.mark.parametrize(("count", "epsilon"), [(2, 1e-3), (3, 0.1)])
def test_term_equals_the_formula(views: Views, count: int, epsilon: float) -> None:
    model = WMSE(small_backbone(), **SIZES, epsilon=epsilon)
    images = views(count, batch=12)
    directions = [unit(whitened(z, epsilon)) for z in embeddings_of(model, images)]
    pairs = itertools.combinations(directions, 2)
    expected = np.mean([2 - 2 * (a * b).sum(axis=1) for a, b in pairs])
    loss, terms = loss_and_terms(model, images)
    assert terms == {"wmse": pytest.approx(expected, rel=1e-3)}
    assert loss == terms["wmse"]


def test_projector_has_two_layers() -> None:
    assert layers_of(WMSE(small_backbone(), **SIZES).projector) == [
        "Dense",
        "BatchNorm",
        "ReLU",
        "Dense",
    ]


def test_refuses(views: Views) -> None:
    with pytest.raises(UserError, match="`epsilon` must be a number with 0"):
        WMSE(small_backbone(), **SIZES, epsilon=0)
    model = WMSE(small_backbone(), **SIZES)
    model.check_batch(5)
    model.compile(tf.keras.optimizers.SGD(0.1))
    with pytest.raises(UserError, match=r"larger `batch_size`: at least 5, .* Received: 4"):
        model.fit(tf.data.Dataset.from_tensors(views(2, batch=4)), verbose=0)
