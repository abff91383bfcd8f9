"""BURN's terms against NumPy, who gets which gradient, and what stays frozen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.layers import BinaryConv2D
from burn_tf.methods import BURN, EmbeddingRegularizer, next_stage
from burn_tf.recipes import get_recipe
from burn_tf.recipes.options import BURNOptions
from burn_tf.schedules import FeatureWeight

Views = Callable[..., tuple[tf.Tensor, ...]]
SIZES: dict[str, Any] = {"num_outputs": 12, "hidden_dim": 8}


def numpy_kl(target: np.ndarray, student: np.ndarray, temperature: float) -> float:
    def log_softmax(logits: np.ndarray) -> np.ndarray:
        scaled = logits.astype(np.float64) / temperature
        scaled -= scaled.max(axis=1, keepdims=True)
        return scaled - np.log(np.exp(scaled).sum(axis=1, keepdims=True))

    p, q = log_softmax(target), log_softmax(student)
    return float((np.exp(p) * (p - q)).sum(axis=1).mean())


def numpy_cosine(target: np.ndarray, student: np.ndarray) -> float:
    a, b = target.astype(np.float64), student.astype(np.float64)
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return float((1 - (a * b).sum(axis=1) / norms).mean())


def networks_outputs(model: BURN, view: tf.Tensor) -> dict[str, np.ndarray]:
    v1 = model.teacher(view, training=False)
    v2 = model.backbone(view, training=True)
    assert model.projection is not None
    return {
        "v1": v1.numpy(),
        "v2": v2.numpy(),
        "projected": model.projection(v2).numpy(),
        "target_logits": model.teacher_classifier(v1, training=True).numpy(),
        "logits": model.classifier(v2, training=True).numpy(),
    }


def test_terms_equal_the_formulas(
    student: tf.keras.Model, teacher: tf.keras.Model, views: Views
) -> None:
    model = BURN(student, teacher, **SIZES, temperature=0.5)
    both = views(2)
    outputs = [networks_outputs(model, view) for view in both]
    terms = model.compute_terms(both, tf.constant(0, tf.int64)).terms
    kl = np.mean([numpy_kl(o["target_logits"], o["logits"], 0.5) for o in outputs])
    feature = np.mean([numpy_cosine(o["v1"], o["projected"]) for o in outputs])
    np.testing.assert_allclose(terms["kl"], kl, rtol=1e-4)
    np.testing.assert_allclose(terms["feature"], feature, rtol=1e-4)


def test_crossed_logits_as_in_the_authors_code(
    student: tf.keras.Model, teacher: tf.keras.Model, views: Views
) -> None:
    options = get_recipe("burn_authors").method
    assert isinstance(options, BURNOptions)
    names = ("feature_loss", "feature_projection", "view_pairing")
    model = BURN(student, teacher, **SIZES, **{name: getattr(options, name) for name in names})
    assert model.projection is None
    first, second = views(2)
    both = (first, second)
    logits = [model.classifier(model.backbone(v, training=True), training=True) for v in both]
    targets = [model.teacher_classifier(model.teacher(v), training=True) for v in both]
    terms = model.compute_terms((first, second), tf.constant(0, tf.int64)).terms
    kl = sum(numpy_kl(targets[i].numpy(), logits[1 - i].numpy(), 0.2) for i in range(2))
    # Their squared distance of unit vectors is 2 - 2 cos.
    feature = sum(2 * numpy_cosine(targets[i].numpy(), logits[1 - i].numpy()) for i in range(2))
    np.testing.assert_allclose(terms["kl"], kl, rtol=1e-4)
    np.testing.assert_allclose(terms["feature"], feature, rtol=1e-4)


def gradient_sizes(model: BURN, both: tuple[tf.Tensor, ...], term: str) -> dict[str, float]:
    with tf.GradientTape() as tape:
        value = model.compute_terms(both, tf.constant(0, tf.int64)).terms[term]
    groups = ("backbone", "classifier", "teacher_classifier")
    variables = {name: getattr(model, name).trainable_weights for name in groups}
    gradients = tape.gradient(value, variables)
    return {
        name: sum(0.0 if g is None else float(tf.norm(g)) for g in found)
        for name, found in gradients.items()
    }


def test_who_gets_which_gradient(
    student: tf.keras.Model, teacher: tf.keras.Model, views: Views
) -> None:
    model = BURN(student, teacher, **SIZES)
    kl = gradient_sizes(model, views(1), "kl")
    feature = gradient_sizes(model, views(1), "feature")
    assert min(kl.values()) > 0
    assert feature["backbone"] > 0
    assert feature["classifier"] == feature["teacher_classifier"] == 0


def test_teacher_never_changes(
    student: tf.keras.Model, teacher: tf.keras.Model, views: Views
) -> None:
    before = [w.copy() for w in teacher.get_weights()]
    model = BURN(student, teacher, **SIZES, total_steps=3)
    model.compile(tf.keras.optimizers.SGD(0.1))
    model.fit(tf.data.Dataset.from_tensors(views(1)).repeat(3), verbose=0)
    for old, new in zip(before, model.teacher.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert model.update_step.numpy() == 3


def test_logged_figures(student: tf.keras.Model, teacher: tf.keras.Model, views: Views) -> None:
    weight = FeatureWeight(total_steps=4)
    model = BURN(student, teacher, **SIZES, feature_weight=weight)
    model.compile(tf.keras.optimizers.SGD(0.25))
    logs = model.fit(tf.data.Dataset.from_tensors(views(1)), verbose=0).history
    expected = 0.1 * logs["kl"][0] + 0.9 * logs["feature"][0]
    np.testing.assert_allclose(logs["loss"][0], expected, rtol=1e-5)
    assert logs["feature_weight"][0] == pytest.approx(0.9)
    assert logs["learning_rate"][0] == pytest.approx(0.25)
    groups = ("extractor", "projection", "classifier", "teacher_classifier")
    parts = [logs[f"grad_norm_{group}"][0] for group in groups]
    np.testing.assert_allclose(logs["grad_norm"][0], np.sqrt(np.sum(np.square(parts))), rtol=1e-5)


def test_flipped_signs_are_counted(
    student: tf.keras.Model, teacher: tf.keras.Model, views: Views
) -> None:
    model = BURN(student, teacher, **SIZES)
    layers = [m for m in student.submodules if isinstance(m, BinaryConv2D)]
    kernels = [layer.kernel for layer in layers]
    before = [kernel.numpy() >= 0 for kernel in kernels]
    model.compile(tf.keras.optimizers.SGD(30.0))
    logs = model.fit(tf.data.Dataset.from_tensors(views(1)), verbose=0).history
    changed = sum(int((b != (k.numpy() >= 0)).sum()) for b, k in zip(before, kernels, strict=True))
    total = sum(b.size for b in before)
    assert changed > 0
    assert logs["flipped_signs"][0] == pytest.approx(changed / total, rel=1e-6)


def test_regularizer_adds_its_terms(
    student: tf.keras.Model, teacher: tf.keras.Model, views: Views
) -> None:
    extra = EmbeddingRegularizer(centroid=2.0, brownian=0.5)
    plain = BURN(student, teacher, **SIZES)
    more = BURN(student, teacher, **SIZES, regularizer=extra)
    more.set_weights(plain.get_weights())
    step = tf.constant(0, tf.int64)
    base, _ = plain.total_loss(plain.compute_terms(views(2), step), step)
    loss, terms = more.total_loss(more.compute_terms(views(2), step), step)
    expected = base + 2.0 * terms["centroid"] + 0.5 * terms["brownian"]
    np.testing.assert_allclose(loss, expected, rtol=1e-4)
    assert "singular_value" not in terms


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": 0.0}, "`temperature` must be a number with 0"),
        ({"feature_loss": "cosin"}, "Did you mean 'cosine'"),
        ({"kl_direction": "both"}, "`kl_direction` must be one of"),
        ({"view_pairing": "cross"}, "Did you mean 'crossed'"),
        ({"total_steps": 0}, "`total_steps` must be a whole number"),
        ({"feature_weight": 0.0}, r"`feature_weight` must be a schedule, .* Received: 0\.0"),
        ({"num_outputs": 0}, "`(num_outputs|output_dim)` must be a whole number"),
    ],
)
def test_refuses(
    student: tf.keras.Model, teacher: tf.keras.Model, options: dict[str, object], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        BURN(student, teacher, **{**SIZES, **options})  # type: ignore[arg-type]


def test_refuses_networks_that_do_not_fit(
    student: tf.keras.Model, teacher: tf.keras.Model, views: Views
) -> None:
    maps = tf.keras.Model(student.input, student.layers[1].output)
    with pytest.raises(UserError, match="`backbone` must give one vector per image"):
        BURN(maps, teacher)
    other = tf.keras.Sequential([tf.keras.layers.Dense(5, input_shape=(teacher.output_shape[-1],))])
    with pytest.raises(UserError, match=r"same number of outputs\. Received: 12 and 5"):
        BURN(student, teacher, teacher_classifier=other, **SIZES)
    crossed = BURN(student, teacher, **SIZES, view_pairing="crossed")
    crossed.compile(tf.keras.optimizers.SGD(0.1))
    with pytest.raises(UserError, match=r"needs `num_views`=2\. Received: 1"):
        crossed.fit(tf.data.Dataset.from_tensors(views(1)), verbose=0)


def test_classifier_information(student: tf.keras.Model, teacher: tf.keras.Model) -> None:
    model = BURN(student, teacher, **SIZES, temperature=0.5)
    constant = model._information(tf.ones([6, 4]))
    np.testing.assert_allclose(constant, 0.0, atol=1e-6)
    certain = model._information(100.0 * tf.eye(4))
    np.testing.assert_allclose(certain, np.log(4), rtol=1e-5)
    logits = np.random.default_rng(0).standard_normal((6, 4))
    p = np.exp(2 * logits) / np.exp(2 * logits).sum(axis=1, keepdims=True)
    mean = p.mean(axis=0)
    expected = -(mean * np.log(mean)).sum() + (p * np.log(p)).sum(axis=1).mean()
    np.testing.assert_allclose(model._information(tf.constant(logits)), expected, rtol=1e-4)


@pytest.mark.parametrize("pairing", ["same", "crossed"])
def test_given_features_teach_as_the_teacher_does(
    student: tf.keras.Model, teacher: tf.keras.Model, views: Views, pairing: str
) -> None:
    live = BURN(student, teacher, **SIZES, view_pairing=pairing)
    given = BURN(student, teacher, **SIZES, view_pairing=pairing, given_features=True)
    given.set_weights(live.get_weights())
    both, step = views(2), tf.constant(0, tf.int64)
    kept = [tf.cast(teacher(view, training=False), tf.float16) for view in both]
    losses, gradients = [], []
    for model, batch in ((live, both), (given, (*both, *kept))):
        with tf.GradientTape() as tape:
            loss, _ = model.total_loss(model.compute_terms(batch, step), step)
        losses.append(float(loss))
        found = tape.gradient(loss, model.classifier.trainable_weights)
        gradients.append(np.concatenate([np.ravel(one) for one in found]))
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-3)
    wanted, found = gradients
    assert np.linalg.norm(found - wanted) < 0.02 * np.linalg.norm(wanted)


def test_given_features_are_all_that_the_teacher_says(
    student: tf.keras.Model, teacher: tf.keras.Model, views: Views
) -> None:
    """In both stages; a teacher that gave other features would not be heard."""
    model = BURN(student, teacher, **SIZES, given_features=True)
    model.frozen_teacher._run = None  # type: ignore[assignment]
    dim = teacher.output_shape[-1]
    batch = (*views(1), tf.ones([6, dim], tf.float16))
    for stage in (model, next_stage(model, "both")):
        assert stage.get_config()["given_features"]
        stage.compile(tf.keras.optimizers.SGD(0.1))
        assert np.isfinite(stage.train_step(batch)["loss"])
        with pytest.raises(UserError, match="Received: 1 tensors"):
            stage.fit(tf.data.Dataset.from_tensors(views(1)), verbose=0)
