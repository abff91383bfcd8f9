"""SimCLR v2's contrast against a sum over pairs in NumPy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.methods.simclr_v2 import SimCLRV2
from tests.methods.oracles import embeddings_of, layers_of, loss_and_terms, small_backbone, unit

Views = Callable[..., tuple[tf.Tensor, ...]]


def contrast(z: np.ndarray, temperature: float) -> float:
    """Mean over images and ordered pairs of their views, negatives from other images only."""
    count, batch, _ = z.shape
    directions, losses = unit(z), []
    for image in range(batch):
        others = np.delete(directions, image, axis=1).reshape(-1, z.shape[-1])
        for i in range(count):
            negatives = np.exp(others @ directions[i, image] / temperature).sum()
            for j in set(range(count)) - {i}:
                alike = np.exp(directions[i, image] @ directions[j, image] / temperature)
                losses.append(-np.log(alike / (alike + negatives)))
    return float(np.mean(losses))


@pytest.mark.parametrize(("count", "temperature"), [(2, 0.1), (3, 0.5)])
def test_term_equals_the_formula(views: Views, count: int, temperature: float) -> None:
    model = SimCLRV2(small_backbone(), hidden_dim=8, embedding_dim=6, temperature=temperature)
    images = views(count)
    expected = contrast(embeddings_of(model, images), temperature)
    loss, terms = loss_and_terms(model, images)
    assert terms == {"nt_xent": pytest.approx(expected, rel=1e-4)}
    assert loss == pytest.approx(expected, rel=1e-4)


def test_projector_has_three_layers_and_a_norm_behind() -> None:
    model = SimCLRV2(small_backbone(), hidden_dim=8, embedding_dim=6)
    assert layers_of(model.projector) == ["Dense", "BatchNorm", "ReLU"] * 2 + ["Dense", "BatchNorm"]
    assert model.projector.output_shape == (None, 6)
    assert model.learning_networks()["heads"] == [model.projector]


def test_refuses() -> None:
    with pytest.raises(UserError, match="`temperature` must be a number with 0"):
        SimCLRV2(small_backbone(), hidden_dim=8, embedding_dim=6, temperature=0)
    with pytest.raises(UserError, match="`batch_size` must be a whole number with 2 <= value"):
        SimCLRV2(small_backbone(), hidden_dim=8, embedding_dim=6).check_batch(1)
