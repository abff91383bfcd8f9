"""Names of protocols and what they stand for."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.evaluation import (
    PROTOCOLS,
    EvaluationData,
    Result,
    SemiSupervised,
    get_protocol,
    raw_pixels,
    run_protocols,
)

SETTINGS: dict[str, dict[str, float | list[int]]] = {
    "linear:burn": {"learning_rate": 30.0, "epochs": 100, "weight_decay": 0.0, "momentum": 0.9},
    "linear:burn-scene": {"learning_rate": 0.01, "epochs": 28, "weight_decay": 1e-5},
    "linear:msbreg": {"learning_rate": 0.2, "epochs": 100, "weight_decay": 1e-4},
    "linear:fast": {"held_out": 0.2},
    "knn:5": {"k": 5},
    "knn:20": {"k": 20},
    "knn:200": {"k": 200},
    "semi:1pct": {"fraction": 0.01, "epochs": 20, "momentum": 0.9, "weight_decay": 5e-4},
    "semi:10pct": {"fraction": 0.1, "epochs": 20},
    "semi:list": {"fraction": 1.0, "epochs": 20},
    "svm:voc07": {"shots": [], "folds": 3, "values": 4096, "max_iterations": 2000},
    "svm:voc07-fewshot": {"shots": [1, 2, 4, 8, 16, 32, 64, 96], "draws": 5},
    "transfer:cifar10": {"learning_rate": 30.0, "epochs": 100},
    "transfer:cifar100": {"learning_rate": 30.0, "epochs": 100},
    "transfer:cub200": {"learning_rate": 30.0, "epochs": 100},
    "transfer:birdsnap": {"learning_rate": 30.0, "epochs": 100},
    "transfer:places205": {"learning_rate": 0.01, "epochs": 28, "weight_decay": 1e-5},
    "transfer:inat18": {"learning_rate": 30.0, "epochs": 100},
    "embedding": {"images": 1000},
    "detect:voc": {"width": 256, "depth": 4},
    "segment:coco": {"epochs": 12, "learning_rate": 0.02, "batch_size": 16},
}
FROZEN = sorted(name for name in PROTOCOLS if name.startswith(("linear:", "knn:")))


@pytest.mark.parametrize("name", sorted(PROTOCOLS))
def test_settings(name):
    probe = get_protocol(name)
    assert probe.name == name
    assert SETTINGS[name].items() <= probe.get_config().items()
    assert get_protocol(name) is not probe


def test_a_typo_shows_the_nearest_name():
    with pytest.raises(UserError, match="Did you mean 'linear:msbreg'"):
        get_protocol("linear:msbrag")


@pytest.mark.parametrize("name", FROZEN)
def test_every_protocol_on_golden_features(golden, name):
    """A frozen network in front: its variables are bit for bit those from before the probe."""
    backbone = tf.keras.Sequential(
        [
            tf.keras.layers.InputLayer((8, 8, 3)),
            tf.keras.layers.AveragePooling2D(4),
            tf.keras.layers.BatchNormalization(),
            tf.keras.layers.Flatten(),
        ]
    )
    before = [np.array(variable) for variable in backbone.variables]
    result = get_protocol(name).run(backbone, golden)
    assert isinstance(result, Result) and result.protocol == name
    assert result.metrics == {"top1": 92.5}
    assert result.provenance["feature_dim"] == 12
    assert Result.from_json(result.to_json()) == result
    for old, variable in zip(before, backbone.variables, strict=True):
        np.testing.assert_array_equal(old, variable.numpy())


def test_several_protocols_share_one_extraction(golden):
    passes = []

    def counted(images):
        passes.append(len(images))
        return raw_pixels(images)

    names = ["knn:5", "linear:fast", "knn:20"]
    results = run_protocols(names, counted, golden)
    assert passes == [256, 144, 40]
    alone = [get_protocol(name).run(raw_pixels, golden) for name in names]
    for together, single in zip(results, alone, strict=True):
        assert (together.protocol, together.metrics) == (single.protocol, single.metrics)
        assert together.provenance["settings"] == single.provenance["settings"]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "one or more names"),
        (["knn:5", "knn:5"], "each once"),
        (["knn:5", "knn:6"], "Did you mean 'knn:5'"),
        (["knn:5", "knn:200"], "at most the number of training images"),
    ],
)
def test_what_one_of_several_refuses_is_refused_before_any_work(golden, names, message):
    few = EvaluationData(golden.train.subset(np.arange(40)), golden.test, 8)
    with pytest.raises(UserError, match=message):
        run_protocols(names, lambda images: pytest.fail("features were computed"), few)


def test_one_that_trains_the_network_beside_one_that_does_not(golden, monkeypatch):
    images = tf.keras.Input((8, 8, 3))
    backbone = tf.keras.Model(images, tf.keras.layers.Dense(4)(tf.keras.layers.Flatten()(images)))
    short = SemiSupervised("semi:1pct", 0.05, 1, backbone_rates=(0.01,), head_multipliers=(1.0,))
    monkeypatch.setitem(PROTOCOLS, "semi:1pct", lambda: short)
    results = run_protocols(["semi:1pct", "knn:5"], backbone, golden)
    assert [result.protocol for result in results] == ["semi:1pct", "knn:5"]
    assert results[1].metrics == get_protocol("knn:5").run(backbone, golden).metrics


def test_figures_do_not_depend_on_the_cache(golden, tmp_path):
    backbone = tf.keras.Sequential(
        [tf.keras.Input((8, 8, 3)), tf.keras.layers.AveragePooling2D(4), tf.keras.layers.Flatten()]
    )
    # Real sources differ in their fingerprints, as the made ones do not.
    test = dataclasses.replace(golden.test, fingerprint="1")
    kept = dataclasses.replace(golden, test=test, cache=tmp_path)
    names = ["knn:5", "linear:fast"]
    runs = [run_protocols(names, backbone, data) for data in (golden, kept, kept)]
    assert [[result.metrics for result in run] for run in runs] == [[{"top1": 92.5}] * 2] * 3
    assert len(list(tmp_path.iterdir())) == 2
