"""Layer norm in the heads: collapse without the terms that spread, none with them."""

from __future__ import annotations

import dataclasses
import importlib
import io
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.analysis import Analysis, collapse
from burn_tf.analysis.collapse import COLLAPSED_BELOW, DeviationLog
from burn_tf.data import Source, load_source
from burn_tf.methods import MSBReg
from burn_tf.recipes import Recipe, get_recipe
from burn_tf.recipes.base import Network, Views

ALONE, SPREAD, BATCH = "layer norm, L_c", "layer norm, L_c + L_s + L_b", "batch norm, L_c"
BROWNIAN = "layer norm, L_c + L_b"


def run(recipe: Recipe, **options: object) -> Analysis:
    splits = load_source("digits"), load_source("digits", split="test")
    return collapse(*splits, recipe, stream=io.StringIO(), **options)


def small(seed: int = 0) -> Recipe:
    """The recipe on the digits' own 8 px, with half its channels and batch."""
    recipe = get_recipe("msbreg_digits")
    return dataclasses.replace(
        recipe,
        backbone=Network("resnet18", width=0.125, small_image_stem=True),
        views=Views("digits", num_views=2, image_size=8),
        batch_size=32,
        seed=seed,
    )


def test_the_log_measures_every_output_in_inference_mode() -> None:
    generator = np.random.default_rng(0)
    images = tf.constant(generator.normal(size=(6, 4, 4, 3)), tf.float32)
    inputs = tf.keras.Input((4, 4, 3))
    flat = tf.keras.layers.Dense(5)(tf.keras.layers.Flatten()(inputs))
    model = MSBReg(tf.keras.Model(inputs, flat), hidden_dim=7, embedding_dim=3, head_norm="layer")
    log = DeviationLog(images, every=3)
    log.set_model(model)
    for batch in range(7):
        log.on_train_batch_end(batch)
    assert log.updates == [1, 3, 6]
    for _ in range(2):
        log.on_train_end()
    assert log.updates == [1, 3, 6, 7]
    features = model.backbone(images)
    projections = model.projector(features)
    outputs = {
        "features": features,
        "projections": projections,
        "predictions": model.predictor(projections),
    }
    assert log.values.keys() == outputs.keys()
    for name, output in outputs.items():
        rows = output.numpy().astype(np.float64)
        unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        expected = np.sqrt(rows.shape[1]) * unit.std(axis=0).mean()
        np.testing.assert_allclose(log.values[name], expected, rtol=1e-4)


def test_runs_differ_in_heads_and_terms_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    trained = []
    ends = {ALONE: 0.049, SPREAD: 0.051, BATCH: 0.9}

    def pretend(method: MSBReg, recipe: Recipe, source: Source, updates: int, *rest: Any) -> None:
        (log,), label, _ = rest
        trained.append((method, method.backbone.get_weights()))
        log.updates = [1, updates]
        log.values = {"features": [0.3, 0.7], "projections": [0.2, 0.6], "predictions": [0.1]}
        log.values["predictions"].append(ends[label])

    # A submodule hides behind the function of its name.
    monkeypatch.setattr(importlib.import_module("burn_tf.analysis.collapse"), "train", pretend)
    weights = {"singular_value_weight": 0.25, "brownian_weight": 0.75}
    analysis = run(small(), updates=2, cases=[ALONE, SPREAD, BATCH], **weights)
    methods = [method for method, _ in trained]
    terms = [(m.regularizer.singular_value, m.regularizer.brownian) for m in methods]
    assert terms == [(0.0, 0.0), (0.25, 0.75), (0.0, 0.0)]
    norms = [
        {type(layer).__name__ for layer in m.projector.layers if "Norm" in type(layer).__name__}
        for m in methods
    ]
    assert norms == [{"LayerNormalization"}, {"LayerNormalization"}, {"BatchNorm"}]
    for _, start in trained[1:]:
        for mine, first in zip(start, trained[0][1], strict=True):
            np.testing.assert_array_equal(mine, first)
    collapsed = {row["heads, loss"]: row["collapsed"] for row in analysis.rows}
    assert collapsed == {ALONE: "yes", SPREAD: "no", BATCH: "no"} and COLLAPSED_BELOW == 0.05
    predictions = analysis.panels[2].series
    assert [list(line.y) for line in predictions] == [[0.1, end] for end in ends.values()]


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"updates": 1}, "updates"),
        ({"optimizer": "adm"}, "optimizer"),
        ({"cases": ["group norm"]}, "cases"),
        ({"singular_value_weight": -1.0}, "singular_value_weight"),
        ({"brownian_weight": -0.1}, "brownian_weight"),
    ],
)
def test_mistakes_name_the_argument(options: dict, name: str) -> None:
    with pytest.raises(UserError, match=f"`{name}` must .* Received"):
        run(small(), **options)


def test_another_methods_recipe() -> None:
    with pytest.raises(UserError, match=r"`recipe` must be one of MSBReg. Received: 'burn_digits'"):
        run(get_recipe("burn_digits"))


@pytest.mark.slow
@pytest.mark.parametrize("seed", [2])
def test_layer_norm_heads_collapse_on_digits_and_the_terms_keep_them_apart(seed: int) -> None:
    recipe = dataclasses.replace(get_recipe("msbreg_digits"), seed=seed)
    analysis = run(recipe, updates=60, cases=[ALONE, SPREAD, BATCH])
    rows = {row["heads, loss"]: row for row in analysis.rows}
    assert {name: row["collapsed"] for name, row in rows.items()} == {
        ALONE: "yes", SPREAD: "no", BATCH: "no",
    }  # fmt: skip
    # Far from the threshold on either side, in predictions and in projections.
    assert rows[ALONE]["predictions"] < 0.03 and rows[ALONE]["projections"] < 0.15
    for name in (SPREAD, BATCH):
        assert rows[name]["predictions"] > 0.1 and rows[name]["projections"] > 0.4
    # Before the first updates all three are spread alike, and none is collapsed.
    starts = [series.y[0] for series in analysis.panels[2].series]
    assert min(starts) > COLLAPSED_BELOW


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1])
def test_random_walks_widen_the_spread_of_layer_norm_heads(seed: int) -> None:
    analysis = run(small(seed), updates=450, optimizer="adam", cases=[ALONE, BROWNIAN])
    alone, brownian = analysis.rows
    # Seen: 1.7 to 2.0 times as wide, and 1.25 to 1.9.
    assert brownian["projections"] > 1.4 * alone["projections"]
    assert brownian["predictions"] > 1.1 * alone["predictions"]
