"""SimSiam's cosines against NumPy, and the gradient that it stops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.layers import mlp_head
from burn_tf.losses import feature_similarity
from burn_tf.methods.simsiam import SimSiam
from tests.methods.oracles import (
    FIRST_STEP,
    embeddings_of,
    layers_of,
    loss_and_terms,
    small_backbone,
    unit,
)

Views = Callable[..., tuple[tf.Tensor, ...]]
SIZES: dict[str, Any] = {"hidden_dim": 8, "embedding_dim": 6, "predictor_dim": 4}


@pytest.mark.parametrize("count", [2, 4])
def test_term_equals_the_formula(views: Views, count: int) -> None:
    model = SimSiam(small_backbone(), **SIZES)
    images = views(count)
    z = embeddings_of(model, images)
    p = [model.predictor(view, training=True).numpy().astype(np.float64) for view in z]
    cosines = [
        (unit(p[i]) * unit(z[j])).sum(axis=-1).mean()
        for i in range(count)
        for j in range(count)
        if i != j
    ]
    loss, terms = loss_and_terms(model, images)
    assert terms == {"simsiam": pytest.approx(-np.mean(cosines), rel=1e-4)}
    assert loss == terms["simsiam"]
    output = model.compute_terms(images, FIRST_STEP)
    np.testing.assert_allclose(output.embeddings, p, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(output.targets, z, rtol=1e-3, atol=1e-4)


def test_gradient_is_that_with_constant_targets(views: Views) -> None:
    """Were z not stopped, the projector's gradient would have another part."""
    model = SimSiam(small_backbone(), **SIZES)
    images = views(2)
    targets = [tf.constant(z, tf.float32) for z in embeddings_of(model, images)]
    with tf.GradientTape() as tape:
        projections = [
            model.projector(model.backbone(view, training=True), training=True) for view in images
        ]
        predictions = [model.predictor(z, training=True) for z in projections]
        distances = tf.stack([feature_similarity(targets[1 - i], predictions[i]) for i in range(2)])
        expected_loss = tf.reduce_mean(distances)
    variables = model.trainable_variables
    expected = tape.gradient(expected_loss, variables)
    with tf.GradientTape() as tape:
        loss = model.compute_terms(images, FIRST_STEP).terms["simsiam"]
    for gradient, wanted in zip(tape.gradient(loss, variables), expected, strict=True):
        gradient, wanted = tf.convert_to_tensor(gradient), tf.convert_to_tensor(wanted)
        np.testing.assert_allclose(gradient, wanted, rtol=1e-3, atol=1e-5)


def test_heads_are_the_papers() -> None:
    model = SimSiam(small_backbone(), **SIZES)
    assert layers_of(model.projector) == ["Dense", "BatchNorm", "ReLU"] * 2 + ["Dense", "BatchNorm"]
    assert layers_of(model.predictor) == ["Dense", "BatchNorm", "ReLU", "Dense"]
    assert model.predictor.layers[1].units == 4
    assert model.learning_networks()["heads"] == [model.projector, model.predictor]


def test_refuses_a_predictor_of_another_size() -> None:
    with pytest.raises(UserError, match=r"`predictor` must give .* 6 elements\. Received: 5"):
        SimSiam(small_backbone(), predictor=mlp_head(6, [4], 5), **SIZES)
    with pytest.raises(UserError, match=r"`predictor` must take .* 6 elements\."):
        SimSiam(small_backbone(), predictor=mlp_head(5, [4], 6), **SIZES)


def test_one_image_is_no_batch_for_heads_with_batch_norms() -> None:
    model = SimSiam(small_backbone(), **SIZES)
    with pytest.raises(UserError, match="`batch_size` must be a whole number with 2 <="):
        model.check_batch(1)
