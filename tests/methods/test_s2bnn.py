"""S2-BNN's three modes against NumPy; its teacher stays as it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.layers import mlp_head
from burn_tf.methods import S2BNN, next_stage
from burn_tf.schedules import EMADecay
from tests.methods.oracles import small_backbone, unit

Views = Callable[..., tuple[tf.Tensor, ...]]
STEP = tf.constant(0, tf.int64)


@pytest.fixture
def student() -> tf.keras.Model:
    """One binary convolution: what is tested here is what comes after it."""
    return small_backbone()


def softmax(logits: np.ndarray) -> np.ndarray:
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


def distillation(model: S2BNN, view: tf.Tensor) -> float:
    teacher: Any = model.teacher
    head: Any = model.teacher_head
    target = unit(head(teacher(view, training=False)).numpy())
    feature = model.backbone(view, training=True)
    student = unit(model.projector(feature, training=True).numpy())
    right = softmax(target / model.temperature)
    return float(-(right * np.log(softmax(student / model.temperature))).sum(axis=1).mean())


@pytest.fixture
def build(student: tf.keras.Model, teacher: tf.keras.Model) -> Callable[..., S2BNN]:
    head = mlp_head(teacher.output_shape[-1], [], 6)
    return lambda **options: S2BNN(student, teacher, head, hidden_dim=8, **options)


@pytest.mark.parametrize("count", [1, 3])
def test_distillation(build: Callable[..., S2BNN], views: Views, count: int) -> None:
    model, images = build(temperature=0.3), views(count)
    expected = np.mean([distillation(model, view) for view in images])
    output = model.compute_terms(images, STEP)
    assert set(output.terms) == {"distillation"}
    np.testing.assert_allclose(output.terms["distillation"], expected, rtol=1e-4)


def test_both_adds_the_contrast(build: Callable[..., S2BNN], views: Views) -> None:
    model, images = build(mode="both", contrast={"queue_size": 24}), views(2)
    expected = distillation(model, images[0])
    loss, terms = model.total_loss(model.compute_terms(images, STEP), STEP)
    np.testing.assert_allclose(terms["distillation"], expected, rtol=1e-4)
    np.testing.assert_allclose(loss, terms["distillation"] + terms["info_nce"], rtol=1e-6)


def test_teacher_and_head_stay(build: Callable[..., S2BNN], views: Views) -> None:
    model = build(mode="both", contrast={"queue_size": 24})
    model.compile(tf.keras.optimizers.SGD(0.5))
    frozen = [*model.teacher.weights, *model.teacher_head.weights]
    before = [weight.numpy() for weight in frozen]
    student = [weight.numpy() for weight in model.backbone.trainable_weights]
    target = [weight.numpy() for weight in model.target_backbone.trainable_weights]
    model.fit(tf.data.Dataset.from_tensors(views(2)), verbose=0)
    for old, weight in zip(before, frozen, strict=True):
        np.testing.assert_array_equal(old, weight)
    for old, new in (
        (student, model.backbone.trainable_weights),
        (target, model.target_backbone.trainable_weights),
    ):
        assert any(np.any(a != b) for a, b in zip(old, new, strict=True))


@pytest.mark.parametrize("mode", ["distillation", "contrastive", "both"])
def test_a_stage_keeps_mode_and_networks(build: Callable[..., S2BNN], mode: str) -> None:
    model = build(mode=mode, contrast={"queue_size": 24})
    following = next_stage(model, "activations", total_steps=5)
    assert (following.mode, following.total_steps) == (mode, 5)
    assert (following.contrast is None) == (mode == "distillation")
    for name in ("projector", "teacher", "teacher_head", "target_backbone"):
        if getattr(model, name) is not None:
            for a, b in zip(
                getattr(model, name).get_weights(),
                getattr(following, name).get_weights(),
                strict=True,
            ):
                np.testing.assert_array_equal(a, b)


def test_a_schedule_of_the_contrast_is_kept(build: Callable[..., S2BNN]) -> None:
    decay = EMADecay(10, base=0.5, end=0.9)
    model = build(mode="both", contrast={"queue_size": 24, "ema_decay": decay})
    saved = tf.keras.saving.serialize_keras_object(model)
    for again, steps in (
        (tf.keras.saving.deserialize_keras_object(saved), 10),
        (next_stage(model, "activations", total_steps=4), 4),
    ):
        assert again.contrast.ema_decay.get_config() == {**decay.get_config(), "total_steps": steps}


def test_refuses(student: tf.keras.Model, teacher: tf.keras.Model, views: Views) -> None:
    with pytest.raises(UserError, match="Received: a teacher without head"):
        S2BNN(student, teacher)
    with pytest.raises(UserError, match="Received: no teacher"):
        S2BNN(student, mode="both")
    head: Any = mlp_head(teacher.output_shape[-1], [], 6)
    with pytest.raises(UserError, match="vectors of the same length"):
        S2BNN(student, teacher, head, mlp_head(student.output_shape[-1], [], 5))
    longer = mlp_head(teacher.output_shape[-1] + 1, [], 6)
    with pytest.raises(UserError, match="`teacher_head` must take vectors of"):
        S2BNN(student, teacher, longer)
    with pytest.raises(UserError, match=r"`contrast` must be one of .*Received: 'temperature'"):
        S2BNN(student, mode="contrastive", contrast={"temperature": 0.5})
    with pytest.raises(UserError, match="`queue_size` must be"):
        S2BNN(student, teacher, head, contrast={"queue_size": -1})
    with pytest.raises(UserError, match="`mode` must be one of"):
        S2BNN(student, teacher, head, mode="distil")
    with pytest.raises(UserError, match="needs `num_views`=2"):
        S2BNN(student, mode="contrastive", contrast={"queue_size": 24}).check_views(1)


@pytest.mark.parametrize("mode", ["distillation", "both"])
def test_given_features(
    build: Callable[..., S2BNN], teacher: tf.keras.Model, views: Views, mode: str
) -> None:
    contrast = {"queue_size": 24}
    live, given = (
        build(mode=mode, contrast=contrast),
        build(mode=mode, contrast=contrast, given_features=True),
    )
    given.set_weights(live.get_weights())
    images = views(2)
    kept = [tf.cast(teacher(view, training=False), tf.float16) for view in images]
    given.check_views(4)
    wanted = live.compute_terms(images, STEP).terms
    found = given.compute_terms((*images, *kept), STEP).terms
    assert set(found) == set(wanted)
    np.testing.assert_allclose(found["distillation"], wanted["distillation"], rtol=1e-3)


def test_contrast_alone_has_no_features_to_be_given(student: tf.keras.Model) -> None:
    with pytest.raises(UserError, match="`given_features` must be one of False"):
        S2BNN(student, mode="contrastive", hidden_dim=8, given_features=True)
