"""MSBReg's terms and target network, and BYOL as its special case, against NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.layers import mlp_head
from burn_tf.methods import BYOL, EmbeddingRegularizer, MSBReg, SimSiam

Views = Callable[..., tuple[tf.Tensor, ...]]
SIZES: dict[str, Any] = {"hidden_dim": 8, "embedding_dim": 6}


def unit(x: np.ndarray) -> np.ndarray:
    # A zero vector, which ReLU heads can give, has no direction.
    return x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), 1e-30)


def embeddings(model: MSBReg, views: tuple[tf.Tensor, ...]) -> tuple[np.ndarray, np.ndarray]:
    predictions, targets = [], []
    for view in views:
        z = model.projector(model.backbone(view, training=True), training=True)
        predictions.append(model.predictor(z, training=True).numpy().astype(np.float64))
        target = model.target_backbone(view, training=True)
        targets.append(model.target_projector(target, training=True).numpy().astype(np.float64))
    return np.stack(predictions), np.stack(targets)


@pytest.mark.parametrize("count", [2, 4, 8])
def test_terms_equal_the_formulas(student: tf.keras.Model, views: Views, count: int) -> None:
    model = MSBReg(student, **SIZES)
    images = views(count)
    p, z = embeddings(model, images)
    step = tf.constant(0, tf.int64)
    loss, terms = model.total_loss(model.compute_terms(images, step), step)
    centroid = np.square(unit(p) - unit(z).mean(axis=0)).sum(axis=-1).mean()
    covariances = [np.cov(view.T, ddof=1) for view in p]
    singular = np.mean([np.square(c - np.eye(6)).sum() for c in covariances])
    np.testing.assert_allclose(terms["centroid"], centroid, rtol=1e-4)
    np.testing.assert_allclose(terms["singular_value"], singular, rtol=1e-4)
    expected = centroid + 4e-3 * singular + 0.5 * float(terms["brownian"])
    np.testing.assert_allclose(loss, expected, rtol=1e-4)


def test_a_regularizer_is_added_to_its_own_terms(student: tf.keras.Model, views: Views) -> None:
    added = EmbeddingRegularizer(centroid=0.5, brownian=0.25)
    model = MSBReg(student, **SIZES, brownian_weight=0.75, regularizer=added)
    step = tf.constant(0, tf.int64)
    loss, terms = model.total_loss(model.compute_terms(views(2), step), step)
    assert set(terms) == {"centroid", "centroid_regularizer", "singular_value", "brownian"}
    expected = 1.5 * terms["centroid"] + 4e-3 * terms["singular_value"] + 1.0 * terms["brownian"]
    np.testing.assert_allclose(loss, expected, rtol=1e-6)
    again = MSBReg.from_config(model.get_config())
    assert again.regularizer.get_config() == model.regularizer.get_config()
    assert (again.brownian_weight, again.added_regularizer.brownian) == (0.75, 0.25)


def test_a_regularizer_is_an_object_of_its_class(student: tf.keras.Model) -> None:
    for make in (MSBReg, SimSiam):
        with pytest.raises(UserError, match=r"`regularizer` must be an EmbeddingRegularizer"):
            make(student, regularizer={"brownian": 0.5})


def test_heads_that_do_not_fit_are_refused(student: tf.keras.Model) -> None:
    size = student.output_shape[-1]
    with pytest.raises(UserError, match=rf"`projector` must take vectors of {size} elements"):
        MSBReg(student, projector=mlp_head(size + 1, [4], 6))
    for wrong, said in ((mlp_head(5, [4], 6), "take"), (mlp_head(6, [4], 5), "give")):
        with pytest.raises(UserError, match=rf"`predictor` must {said} vectors of 6 elements"):
            MSBReg(student, predictor=wrong, embedding_dim=6)


def test_layer_norm_heads(student: tf.keras.Model, views: Views) -> None:
    model = MSBReg(student, **SIZES, head_norm="layer")
    names = [type(layer).__name__ for layer in model.projector.layers]
    assert "LayerNormalization" in names
    assert not any("Batch" in name for name in names)
    assert np.isfinite(model.compute_terms(views(2), tf.constant(0, tf.int64)).terms["centroid"])


def test_target_follows_and_gets_no_gradient(student: tf.keras.Model, views: Views) -> None:
    model = MSBReg(student, **SIZES, total_steps=4)
    model.compile(tf.keras.optimizers.SGD(0.5))
    trained = {id(w) for w in model.trainable_variables}
    assert not any(id(w) in trained for w in model.target_backbone.weights)
    start = [w.numpy() for w in model.backbone.trainable_weights]
    model.fit(tf.data.Dataset.from_tensors(views(2)), verbose=0)
    online = [w.numpy() for w in model.backbone.trainable_weights]
    target = [w.numpy() for w in model.target_backbone.trainable_weights]
    assert any(np.any(a != b) for a, b in zip(start, online, strict=True))
    for a, b in zip(online, target, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, err_msg="first target: the online network")
    model.fit(tf.data.Dataset.from_tensors(views(2)), verbose=0)
    later = [w.numpy() for w in model.backbone.trainable_weights]
    followed = [w.numpy() for w in model.target_backbone.trainable_weights]
    decay = [float(model.ema_decay(step)) for step in (0, 1)]
    rate = (1 - decay[1]) / (1 - decay[0] * decay[1])
    for first, second, now in zip(target, later, followed, strict=True):
        np.testing.assert_allclose(now, first + rate * (second - first), rtol=1e-4, atol=1e-6)


def test_target_uses_batch_statistics(student: tf.keras.Model, views: Views) -> None:
    model = MSBReg(student, **SIZES)
    moving = [w for w in model.target_backbone.non_trainable_weights if "moving_mean" in w.name]
    before = [w.numpy() for w in moving]
    model.compute_terms(views(2), tf.constant(0, tf.int64))
    assert any(np.any(b != w.numpy()) for b, w in zip(before, moving, strict=True))


def test_byol_equals_the_formula(student: tf.keras.Model, views: Views) -> None:
    model = BYOL(student, **SIZES)
    images = views(2)
    p, z = embeddings(model, images)
    step = tf.constant(0, tf.int64)
    loss, terms = model.total_loss(model.compute_terms(images, step), step)
    cosines = [(unit(p[i]) * unit(z[1 - i])).sum(axis=-1).mean() for i in range(2)]
    np.testing.assert_allclose(loss, 4 - 2 * sum(cosines), rtol=1e-4)
    assert set(terms) == {"byol"}


def test_byol_multi_crop_equals_the_formula(student: tf.keras.Model, views: Views) -> None:
    model = BYOL(student, **SIZES, global_views=2)
    images = views(4)
    p, z = embeddings(model, images)
    output = model.compute_terms(images, tf.constant(0, tf.int64))
    assert output.targets.shape[0] == 2, "the target sees the large views alone"
    cosines = [
        (unit(p[j]) * unit(z[i])).sum(axis=-1).mean() for i in range(2) for j in range(4) if j != i
    ]
    np.testing.assert_allclose(output.terms["byol"], 2 * (6 - sum(cosines)) / 3, rtol=1e-4)


def test_centroid_of_the_global_views_alone(student: tf.keras.Model, views: Views) -> None:
    model = MSBReg(student, **SIZES, global_views=2)
    images = views(3)
    p, z = embeddings(model, images)
    output = model.compute_terms(images, tf.constant(0, tf.int64))
    expected = np.square(unit(p) - unit(z[:2]).mean(axis=0)).sum(axis=-1).mean()
    np.testing.assert_allclose(output.terms["centroid"], expected, rtol=1e-4)


def test_refuses(student: tf.keras.Model, views: Views) -> None:
    with pytest.raises(UserError, match=r"`norm` must be one of"):
        MSBReg(student, **SIZES, head_norm="group")
    with pytest.raises(UserError, match="`brownian_weight` must be a number"):
        MSBReg(student, **SIZES, brownian_weight=-1.0)
    model = MSBReg(student, **SIZES)
    model.compile(tf.keras.optimizers.SGD(0.1))
    with pytest.raises(UserError, match="`num_views` must be a whole number with 2 <= value"):
        model.fit(tf.data.Dataset.from_tensors(views(1)), verbose=0)
    for method in (BYOL(student, **SIZES), MSBReg(student, **SIZES, global_views=3)):
        with pytest.raises(UserError, match="`num_views` must be a whole number"):
            method.check_views(method.global_views - 1 if method.global_views else 1)
