"""Training with labels or a float classifier's answers, against NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from burn_tf import backbones
from burn_tf._checks import UserError
from burn_tf.methods import Supervised
from tests.methods.oracles import small_backbone

Views = Callable[..., tuple[tf.Tensor, ...]]
STEP = tf.constant(0, tf.int64)


@pytest.fixture
def student() -> tf.keras.Model:
    """One binary convolution: what is tested here is what comes after it."""
    return small_backbone()


def log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def logits_of(model: Supervised, view: tf.Tensor) -> np.ndarray:
    return model.classifier(model.backbone(view, training=True), training=True).numpy()


@pytest.mark.parametrize("count", [1, 2])
def test_labels(student: tf.keras.Model, views: Views, count: int) -> None:
    model, images = Supervised(student, num_classes=5), views(count)
    labels = np.arange(len(images[0])) % 5
    answers = [logits_of(model, view) for view in images]
    losses = [-log_softmax(one)[np.arange(len(labels)), labels].mean() for one in answers]
    output = model.compute_terms((*images, tf.constant(labels, tf.int64)), STEP)
    np.testing.assert_allclose(output.terms["cross_entropy"], np.mean(losses), rtol=1e-4)
    right = (answers[0].argmax(axis=1) == labels).mean()
    np.testing.assert_allclose(output.figures["accuracy"], right, rtol=1e-6)


def test_answers_of_a_float_classifier(student: tf.keras.Model, views: Views) -> None:
    size = views(1)[0].shape[1:]
    teacher = backbones.ResNet18(size, classes=7, width=0.125, small_image_stem=True)
    model, images = Supervised(student, teacher=teacher), views(1)
    target = log_softmax(teacher(images[0]).numpy())
    answer = log_softmax(logits_of(model, images[0]))
    expected = (np.exp(target) * (target - answer)).sum(axis=1).mean()
    output = model.compute_terms(images, STEP)
    np.testing.assert_allclose(output.terms["distribution"], expected, rtol=1e-4)
    before = teacher.get_weights()
    model.compile(tf.keras.optimizers.SGD(0.5))
    model.fit(tf.data.Dataset.from_tensors(images), verbose=0)
    for old, new in zip(before, teacher.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_learns(student: tf.keras.Model, views: Views) -> None:
    model = Supervised(student, num_classes=4)
    model.compile(tf.keras.optimizers.Adam(0.02))
    batch = (views(1), tf.range(len(views(1)[0]), dtype=tf.int64) % 4)
    model.fit(tf.data.Dataset.from_tensors(batch).repeat(60), verbose=0)
    assert model.fit(tf.data.Dataset.from_tensors(batch), verbose=0).history["accuracy"][0] == 1.0


def test_refuses(student: tf.keras.Model, views: Views) -> None:
    for classes in (None, 1):
        with pytest.raises(UserError, match="`num_classes` must be a whole number"):
            Supervised(student, num_classes=classes)
    model = Supervised(student, num_classes=3)
    model.compile(tf.keras.optimizers.SGD(0.5))
    with pytest.raises(UserError, match=r"views_dataset\(..., labels=True\)"):
        model.fit(tf.data.Dataset.from_tensors(views(1)), verbose=0)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([[1, 0, 0], [0, 1, 0]], r"the class numbers \[B\].*int32 of shape \(2, 3\)"),
        ([0.0, 1.0], r"whole numbers.*Received: float32 of shape \(2,\)"),
        ([0, 3], "labels must be from 0 to 2.*Received: 3"),
        ([-1, 1], "labels must be from 0 to 2.*by -1. Received: -1"),
    ],
)
def test_labels_are_class_numbers(
    student: tf.keras.Model, views: Views, labels: list[Any], message: str
) -> None:
    model = Supervised(student, num_classes=3)
    model.compile(tf.keras.optimizers.SGD(0.5))
    batch = (views(1)[0][:2], tf.constant(labels))
    with pytest.raises(UserError, match=message):
        model.fit(tf.data.Dataset.from_tensors(batch), verbose=0)


def test_a_second_view_is_no_label(student: tf.keras.Model, views: Views) -> None:
    model = Supervised(student, num_classes=3)
    model.compile(tf.keras.optimizers.SGD(0.5))
    with pytest.raises(UserError, match=r"views_dataset\(..., labels=True\)"):
        model.fit(tf.data.Dataset.from_tensors(views(2)), verbose=0)


def test_given_answers(student: tf.keras.Model, views: Views) -> None:
    size = views(1)[0].shape[1:]
    teacher = backbones.ResNet18(size, classes=7, width=0.125, small_image_stem=True)
    live = Supervised(student, teacher=teacher)
    given = Supervised(student, teacher=teacher, given_features=True)
    given.set_weights(live.get_weights())
    images = views(2)
    kept = [tf.cast(teacher(view), tf.float16) for view in images]
    given.check_views(4)
    wanted = live.compute_terms(images, STEP).terms["distribution"]
    found = given.compute_terms((*images, *kept), STEP).terms["distribution"]
    np.testing.assert_allclose(found, wanted, rtol=2e-3, atol=1e-5)
    with pytest.raises(UserError, match="`given_features` must be one of False"):
        Supervised(student, num_classes=3, given_features=True)
