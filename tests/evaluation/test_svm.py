"""SVMs: golden features, targets of several classes per image, draws, and what is refused."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.evaluation import EvaluationData, SVMProbe, raw_pixels, summarise
from burn_tf.evaluation.liblinear import Machines

FEW_COSTS = (1.0, 0.1)


def made(number, classes=3, seed=0, dim=12):
    """Features with a direction per class, and targets of which an image may have several."""
    generator = np.random.default_rng(seed)
    targets = (generator.random((number, classes)) < 0.35).astype(np.int8)
    directions = np.random.default_rng(99).normal(size=(classes, dim))
    return targets @ directions + 0.3 * generator.normal(size=(number, dim)), targets


def test_golden_features_of_an_ordinary_folder(golden):
    result = SVMProbe(costs=FEW_COSTS).run(raw_pixels, golden)
    assert result.protocol == "svm:voc07"
    # The three wrong labels of 40: 7 of 10 or 11 of a class come first, the moved one last.
    assert result.metrics["top1"] == 92.5
    assert 90.0 < result.metrics["map"] < 100.0
    facts = result.provenance
    assert [row["class"] for row in facts["classes"]] == ["0", "1", "2", "3"]
    assert {row["cost"] for row in facts["classes"]} <= set(FEW_COSTS)
    assert facts["left_out"] == {"classes": [], "shots": []}
    assert facts["feature_layer"] == "the output as it is" and facts["num_classes"] == 4
    assert facts["settings"]["not_converged"] == 0 and "shots" not in facts


def test_several_classes_per_image():
    features, targets = made(150)
    queries, query_targets = made(80, seed=1)
    found = SVMProbe(costs=FEW_COSTS).measure_targets(features, targets, queries, query_targets)
    assert 95.0 < found.metrics["map"] <= 100.0 and "top1" not in found.metrics
    chance = SVMProbe(costs=FEW_COSTS).measure_targets(
        np.random.default_rng(5).normal(size=features.shape), targets, queries, query_targets
    )
    assert chance.metrics["map"] < 65.0


def test_difficult_images_take_no_part():
    features, targets = made(100)
    queries, query_targets = made(50, seed=1)
    probe = SVMProbe(costs=[1.0])
    plain = probe.measure_targets(features, targets, queries, query_targets)
    # Images that would ruin everything if they counted, each difficult for all classes.
    noise, ignored = -10.0 * features[:40], np.full((40, 3), -1, np.int8)
    found = probe.measure_targets(
        np.concatenate([features, noise]),
        np.concatenate([targets, ignored]),
        np.concatenate([queries, noise]),
        np.concatenate([query_targets, ignored]),
    )
    assert found.metrics == pytest.approx(plain.metrics, abs=1e-9)


def test_classes_that_no_figure_can_stand_for_are_left_out_and_named():
    features, targets = made(60, classes=5)
    queries, query_targets = made(40, classes=5, seed=1)
    targets[:, 1] = 0  # nothing to learn from
    targets[:, 2] = 1  # nothing to learn against
    query_targets[:, 4] = 0  # nothing to find
    found = SVMProbe(costs=[1.0]).measure_targets(
        features, targets, queries, query_targets, class_names=list("abcde")
    )
    assert found.settings["left_out"]["classes"] == ["b", "c", "e"]
    assert [row["class"] for row in found.settings["classes"]] == ["a", "d"]
    query_targets[:, [0, 3]] = 0
    with pytest.raises(UserError, match=r"needs a class with positive .* 5 classes without"):
        SVMProbe().measure_targets(features, targets, queries, query_targets)


def few(**options):
    return SVMProbe("svm:voc07-fewshot", **{"costs": FEW_COSTS, "shots": (1, 2, 8), **options})


def test_few_shots_are_summed_up_over_draws(capsys):
    features, targets = made(200)
    queries, query_targets = made(80, seed=1)
    found = few().measure_targets(features, targets, queries, query_targets)
    assert list(found.metrics) == ["map11_k1", "map11_k2", "map11_k8"]
    rows = found.settings["shots_found"]
    assert [row["k"] for row in rows] == [1, 2, 8]
    for row in rows:
        values = row["map11"]["values"]
        assert len(values) == len(set(values)) == 5  # draws differ
        assert row["map11"] == summarise(values).to_json()
        assert found.metrics[f"map11_k{row['k']}"] == row["map11"]["mean"]
    assert found.metrics["map11_k8"] > found.metrics["map11_k1"]
    assert few().measure_targets(features, targets, queries, query_targets) == found
    other = few(seed=1).measure_targets(features, targets, queries, query_targets)
    assert other.metrics["map11_k1"] != found.metrics["map11_k1"]
    assert "svm:voc07-fewshot: k = 8: " in capsys.readouterr().err


def test_a_draw_has_k_positives_and_their_share_of_negatives(monkeypatch):
    features, targets = made(200)
    seen = []

    def trained(self, rows, positive):
        seen.append((int(positive.sum()), int((~positive).sum())))
        assert len(np.unique(rows, axis=0)) == len(rows)
        return np.zeros(rows.shape[1] + 1), 1.0

    monkeypatch.setattr(Machines, "trained", trained)
    few(shots=(4,), draws=2).measure_targets(features, targets, features, targets)
    assert seen == [(4, 8)] * 6


def test_shots_beyond_the_images_are_left_out():
    features, targets = made(60)
    fewest = int(targets.sum(axis=0).min())
    found = few(shots=(1, fewest, fewest + 1), draws=2).measure_targets(
        features, targets, features, targets
    )
    assert list(found.metrics) == ["map11_k1", f"map11_k{fewest}"]
    assert found.settings["left_out"]["shots"] == [fewest + 1]
    with pytest.raises(UserError, match=rf"`shots` must .* at most {fewest}\. Received: \[99\]"):
        few(shots=(99,)).measure_targets(features, targets, features, targets)


@pytest.fixture
def marked(golden):
    """The golden images with targets in place of labels."""

    def change(source):
        targets = (source.labels[:, None] == np.arange(4)).astype(np.int8)
        return dataclasses.replace(source, labels=None, targets=targets, class_names=tuple("abcd"))

    return EvaluationData(change(golden.train), change(golden.test), image_size=8)


def test_run_on_targets_equals_run_on_labels(golden, marked):
    by_labels = SVMProbe(costs=[1.0]).run(raw_pixels, golden)
    by_targets = SVMProbe(costs=[1.0]).run(raw_pixels, marked)
    assert by_targets.metrics.items() < by_labels.metrics.items()
    assert [row["class"] for row in by_targets.provenance["classes"]] == list("abcd")
    shots = few(shots=(2,), draws=2, costs=[1.0]).run(raw_pixels, marked).provenance["shots"]
    assert shots[0]["map11"]["low"] < shots[0]["map11"]["high"]


def refuse(_images):
    pytest.fail("features were computed")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"targets": None}, r"must both hold several classes per image, or both one.*\(test\)"),
        ({"targets": np.zeros((40, 3), np.int8)}, r"same classes\. Received: 4 and 3"),
        ({"class_names": tuple("abce")}, "same classes. Received: the names"),
        ({"targets": np.zeros((40, 4), np.int8)}, "needs a class with positive"),
    ],
)
def test_data_that_does_not_fit(marked, change, message):
    data = EvaluationData(marked.train, dataclasses.replace(marked.test, **change), 8)
    with pytest.raises(UserError, match=message):
        SVMProbe().run(refuse, data)


def test_no_labels_one_class_and_too_few_images(make_source, golden):
    images = golden.train.array
    bare = make_source(images, None)
    with pytest.raises(UserError, match="a probe needs labels"):
        SVMProbe().run(refuse, EvaluationData(bare, bare, 8))
    same = make_source(images, np.zeros(400, np.int64))
    with pytest.raises(UserError, match="at least two classes"):
        SVMProbe().run(refuse, EvaluationData(same, same, 8))
    with pytest.raises(UserError, match=r"`shots` must .* at most 100"):
        few(shots=(101,)).run(refuse, golden)


def test_the_last_map_is_averaged_to_a_grid(golden):
    maps = tf.keras.Input((8, 8, 3))
    network = tf.keras.Model(maps, tf.keras.layers.GlobalAveragePooling2D()(maps))
    result = SVMProbe(costs=[1.0], values=12).run(network, golden)
    assert result.provenance["feature_layer"] == "last feature map averaged to 2 x 2"
    assert result.provenance["feature_dim"] == 12 and result.metrics["top1"] == 92.5
    # Without the grid a bright quadrant is anywhere.
    assert SVMProbe(costs=[1.0], values=3).run(network, golden).metrics["top1"] < 60.0


@pytest.mark.parametrize(
    "arguments",
    [
        {"shots": [0]},
        {"draws": 0},
        {"costs": []},
        {"costs": [0.0]},
        {"folds": 1},
        {"values": 0},
        {"max_iterations": 0},
        {"seed": -1},
    ],
)
def test_arguments_are_checked(arguments):
    with pytest.raises(UserError, match=f"`{next(iter(arguments))}`"):
        SVMProbe(**arguments)
