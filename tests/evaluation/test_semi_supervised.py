"""Fine-tuning on a part of the labels: updates as NumPy makes them, the grid kept whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.data import Source
from burn_tf.evaluation import EvaluationData, Result, SemiSupervised, get_protocol, raw_pixels
from burn_tf.evaluation.semi_supervised import _FineTuning


def dense_backbone(units: int = 2) -> tf.keras.Model:
    images = tf.keras.Input((2, 2, 3))
    features = tf.keras.layers.Dense(units, name="features")(tf.keras.layers.Flatten()(images))
    return tf.keras.Model(images, features)


def small(**settings: Any) -> SemiSupervised:
    return SemiSupervised(**({"backbone_rates": (0.01,), "head_multipliers": (1.0,)} | settings))


def test_updates_equal_numpy() -> None:
    """Two updates in float64: v <- m v + g + d w, w <- w - r v, each group with its own rate."""
    rng = np.random.default_rng(0)
    images = rng.normal(size=(5, 2, 2, 3))
    labels = np.array([0, 2, 1, 1, 0])
    tuning = _FineTuning(dense_backbone(), 3, 2, seed=0)
    weights = [np.asarray(w, np.float64) for w in tuning.start]
    velocity = [np.zeros_like(w) for w in weights]
    for rate in (0.5, 0.1):
        numbers = [tf.constant(n, tf.float32) for n in (rate, 10 * rate, 0.9, 0.03)]
        tuning.step(tf.constant(images, tf.float32), tf.constant(labels), *numbers)
        rows = images.reshape(5, -1)
        features = rows @ weights[0] + weights[1]
        logits = features @ weights[2] + weights[3]
        shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        error = (shares - np.eye(3)[labels]) / 5
        below = error @ weights[2].T
        gradients = [rows.T @ below, below.sum(0), features.T @ error, error.sum(0)]
        for i, own in enumerate((rate, rate, 10 * rate, 10 * rate)):
            velocity[i] = 0.9 * velocity[i] + gradients[i] + 0.03 * weights[i]
            weights[i] = weights[i] - own * velocity[i]
    for expected, weight in zip(weights, tuning.model.get_weights(), strict=True):
        np.testing.assert_allclose(weight, expected, rtol=1e-4, atol=1e-6)
    tuning.reset()
    for begin, weight in zip(tuning.start, tuning.model.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, begin)
    assert all(np.all(slot.numpy() == 0) for _, slot, _ in tuning.slots)


def test_learns_the_golden_quadrants(golden: EvaluationData) -> None:
    images = tf.keras.Input((8, 8, 3))
    x = tf.keras.layers.AveragePooling2D(4)(images)
    x = tf.keras.layers.BatchNormalization(name="norm")(x)
    x = tf.keras.layers.Dense(8, "relu")(tf.keras.layers.Flatten()(x))
    backbone = tf.keras.Model(images, x)
    before = backbone.get_weights()
    # Flips swap quadrants: enough labels to learn all of them.
    protocol = small(
        name="semi:10pct", fraction=0.5, backbone_rates=(0.1, 0.01), head_multipliers=(1.0, 10.0)
    )
    result = protocol.run(backbone, golden)
    grid = result.provenance["grid"]
    assert [(p["backbone_rate"], p["head_multiplier"]) for p in grid] == [
        (0.1, 1.0),
        (0.1, 10.0),
        (0.01, 1.0),
        (0.01, 10.0),
    ]
    scores = [point["metrics"]["top1"] for point in grid if point["finite"]]
    assert result.metrics["top1"] == max(scores) > 40
    assert result.provenance["labelled_images"] == 200
    assert Result.from_json(result.to_json()) == result
    for old, new in zip(before, backbone.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_same_seed_same_figures(golden: EvaluationData) -> None:
    tf.keras.utils.set_random_seed(0)
    backbone = dense_on_golden()
    first, second = (
        small(epochs=2, fraction=0.1, seed=3).run(backbone, golden).metrics for _ in range(2)
    )
    assert first == second


def dense_on_golden() -> tf.keras.Model:
    images = tf.keras.Input((8, 8, 3))
    return tf.keras.Model(images, tf.keras.layers.Dense(4)(tf.keras.layers.Flatten()(images)))


def test_part_of_each_class(make_source: Callable[..., Source]) -> None:
    labels = np.repeat([0, 1, 2], [300, 100, 1])
    source = make_source(np.zeros((401, 2, 2, 3), np.uint8), labels)
    part = get_protocol("semi:1pct")._part(source)  # type: ignore[union-attr]
    np.testing.assert_array_equal(np.bincount(part.labels), [3, 1, 1])
    assert part.fingerprint != source.fingerprint


def test_a_diverged_point_is_kept_and_not_chosen(golden: EvaluationData) -> None:
    protocol = small(epochs=3, fraction=0.1, backbone_rates=(1e30, 0.01))
    result = protocol.run(dense_on_golden(), golden)
    assert [point["finite"] for point in result.provenance["grid"]] == [False, True]
    assert result.provenance["best"]["backbone_rate"] == 0.01
    with pytest.raises(UserError, match="diverged at every point"):
        small(epochs=3, fraction=0.1, backbone_rates=(1e30,)).run(dense_on_golden(), golden)


def test_rates_fall_at_their_epochs() -> None:
    protocol = get_protocol("semi:10pct")
    assert isinstance(protocol, SemiSupervised) and protocol.fraction == 0.1
    rates = [protocol.rate(0.1, epoch) for epoch in (0, 11, 12, 15, 16, 19)]
    assert rates == pytest.approx([0.1, 0.1, 0.02, 0.02, 0.004, 0.004])


def test_needs_a_network(golden: EvaluationData) -> None:
    with pytest.raises(UserError, match=r"must be a Keras model.*'raw_pixels'"):
        small().run(raw_pixels, golden)


@pytest.mark.parametrize(
    "arguments",
    [
        {"fraction": 0.0},
        {"fraction": 1.5},
        {"epochs": 0},
        {"backbone_rates": ()},
        {"backbone_rates": (0.0,)},
        {"head_multipliers": ()},
        {"decay_factor": 0.0},
        {"momentum": 1.0},
        {"weight_decay": -1.0},
        {"batch_size": 0},
        {"seed": -1},
    ],
)
def test_arguments_are_checked(arguments: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=next(iter(arguments))):
        SemiSupervised(**arguments)


def test_config_is_complete() -> None:
    protocol = small(fraction=0.3, seed=4)
    assert SemiSupervised(**protocol.get_config()).get_config() == protocol.get_config()
