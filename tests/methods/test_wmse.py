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
from tests.methods.oracles import (
    assert_replicas_equal_one,
    embeddings_of,
    layers_of,
    loss_and_terms,
    small_backbone,
    unit,
)

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


def test_slices_are_whitened_apart_and_drawn_anew(views: Views) -> None:
    model = WMSE(small_backbone(), **SIZES, slice_size=6, seed=5)
    images = views(2, batch=12)
    first, second = embeddings_of(model, images)
    found = []
    for step in (0, 1):
        places = model._slices(tf.constant(12), tf.constant(step, tf.int64)).numpy()
        assert places.shape == (2, 6) and sorted(places.ravel()) == list(range(12))
        distances = [
            2 - 2 * (unit(whitened(first[part], 1e-3)) * unit(whitened(second[part], 1e-3))).sum(1)
            for part in places
        ]
        _, terms = loss_and_terms(model, images, tf.constant(step, tf.int64))
        assert terms["wmse"] == pytest.approx(np.mean(distances), rel=1e-3)
        found.append(terms["wmse"])
    assert found[0] != pytest.approx(found[1], rel=1e-3), "other slices"
    again = WMSE.from_config(model.get_config())
    assert again.slice_size == 6


def test_two_replicas_share_the_slices(two_replicas: tf.distribute.Strategy) -> None:
    assert_replicas_equal_one(lambda flat: WMSE(flat, **SIZES, slice_size=6), two_replicas, 12)


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
    with pytest.raises(UserError, match="`slice_size` must be a whole number with 5 <="):
        WMSE(small_backbone(), **SIZES, slice_size=4)
    sliced = WMSE(small_backbone(), **SIZES, slice_size=6)
    sliced.check_batch(12)
    with pytest.raises(UserError, match=r"multiple of `slice_size`, 6\. Received: 15"):
        sliced.check_batch(15)
    sliced.compile(tf.keras.optimizers.SGD(0.1), accumulate=2)
    with pytest.raises(UserError, match=r"batch_size / accumulate. must be a multiple .*: 9"):
        sliced.fit(tf.data.Dataset.from_tensors(views(2, batch=18)), verbose=0)
    model = WMSE(small_backbone(), **SIZES)
    model.check_batch(5)
    model.compile(tf.keras.optimizers.SGD(0.1))
    with pytest.raises(UserError, match=r"larger `batch_size`: at least 5, .* Received: 4"):
        model.fit(tf.data.Dataset.from_tensors(views(2, batch=4)), verbose=0)
