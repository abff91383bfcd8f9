"""Barlow Twins' cross-correlation against NumPy."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.methods.barlow_twins import BarlowTwins
from tests.methods.oracles import embeddings_of, layers_of, loss_and_terms, small_backbone

Views = Callable[..., tuple[tf.Tensor, ...]]


def redundancy(first: np.ndarray, second: np.ndarray, weight: float) -> float:
    size = first.shape[1]
    correlations = np.corrcoef(first.T, second.T)[:size, size:]
    diagonal = np.diag(correlations)
    off = np.square(correlations).sum() - np.square(diagonal).sum()
    return float(np.square(1 - diagonal).sum() + weight * off)


@pytest.mark.parametrize(("count", "weight"), [(2, 5e-3), (3, 0.5)])
def test_term_equals_the_formula(views: Views, count: int, weight: float) -> None:
    model = BarlowTwins(small_backbone(), hidden_dim=16, embedding_dim=6, redundancy_weight=weight)
    images = views(count, batch=12)
    z = embeddings_of(model, images)
    pairs = itertools.combinations(z, 2)
    expected = float(np.mean([redundancy(a, b, weight) for a, b in pairs]))
    loss, terms = loss_and_terms(model, images)
    assert terms == {"barlow_twins": pytest.approx(expected, rel=1e-3)}
    assert loss == pytest.approx(expected, rel=1e-3)


def test_projector_has_three_layers() -> None:
    model = BarlowTwins(small_backbone(), hidden_dim=8, embedding_dim=6)
    assert layers_of(model.projector) == ["Dense", "BatchNorm", "ReLU"] * 2 + ["Dense"]


def test_refuses() -> None:
    sizes: dict[str, Any] = {"hidden_dim": 8, "embedding_dim": 6}
    with pytest.raises(UserError, match="`redundancy_weight` must be a number with 0"):
        BarlowTwins(small_backbone(), **sizes, redundancy_weight=-1.0)
    with pytest.raises(UserError, match="`batch_size` must be a whole number with 2 <= value"):
        BarlowTwins(small_backbone(), **sizes).check_batch(1)
