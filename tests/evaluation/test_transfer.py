"""`transfer:NAME`: BURN's probe, on any images, and said where they are not the set's."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest

from burn_tf._checks import UserError
from burn_tf.data import load_source
from burn_tf.evaluation import (
    TRANSFER_SETS,
    EvaluationData,
    LinearProbe,
    Transfer,
    get_protocol,
    raw_pixels,
)
from burn_tf.evaluation.features import extract_features
from burn_tf.report.runs import OTHER_DATA, read_runs


def test_classes_of_the_papers_sets():
    wanted = {
        "cifar10": 10,
        "cifar100": 100,
        "cub200": 200,
        "birdsnap": 500,
        "places205": 205,
        "inat18": 8142,
    }
    assert {name: found.classes for name, found in TRANSFER_SETS.items()} == wanted


@pytest.mark.parametrize("name", TRANSFER_SETS)
def test_constants_are_those_of_the_linear_probe(name):
    scene = name == "places205"
    wanted = get_protocol("linear:burn-scene" if scene else "linear:burn").get_config()
    probe = get_protocol(f"transfer:{name}")
    assert (
        probe.get_config()
        == {**wanted, "name": f"transfer:{name}"}
        == {**Transfer(name).get_config()}
    )


@pytest.mark.parametrize("named", [True, False])
def test_another_number_of_classes_is_said(golden, named, tmp_path):
    names = tuple("abcd") if named else None
    train = dataclasses.replace(golden.train, class_names=names)
    test = dataclasses.replace(golden.test, class_names=names)
    data = EvaluationData(train, test, 8)
    probe, same = Transfer("cub200"), LinearProbe()
    for given in (probe, same):
        given.sgd = dataclasses.replace(given.sgd, epochs=3)
    result = probe.run(raw_pixels, data)
    assert result.metrics == same.run(raw_pixels, data).metrics
    expected = r"golden is not cub200: 4 classes in place of 200 \(tfds:.*cub:CUB_200_2011.*\)"
    assert re.fullmatch(expected.replace("golden", train.name), result.provenance[OTHER_DATA])
    file = tmp_path / "result.json"
    file.write_text(result.to_json(), encoding="utf-8")
    (record,) = read_runs([file]).records
    assert record.data == result.provenance[OTHER_DATA]


def test_the_right_set_gives_the_linear_probes_figure(make_source):
    generator = np.random.default_rng(0)
    labels = np.arange(60) % 10
    images = generator.integers(0, 40, (60, 4, 4, 3)).astype(np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[label // 4, label % 4] += 200
    source = make_source(images, labels)
    data = EvaluationData(source, source, image_size=4)
    probe = Transfer("cifar10")
    probe.sgd = dataclasses.replace(probe.sgd, epochs=3)
    result = probe.run(raw_pixels, data)
    features, marks = extract_features(raw_pixels, data.datasets()[0])
    scores = LinearProbe(epochs=3).fit_scores(features, marks, features, 10)
    top1 = 100.0 * np.mean(scores.argmax(axis=1) == labels)
    assert OTHER_DATA not in result.provenance
    assert result.protocol == "transfer:cifar10" and result.metrics["top1"] == pytest.approx(top1)


def test_ten_classes_of_another_set_are_said():
    digits = load_source("digits", split="test")
    assert Transfer("cifar10").other_data(digits).startswith("digits is not cifar10: other classes")


def test_a_typo_shows_the_nearest_name():
    with pytest.raises(UserError, match="Did you mean 'birdsnap'"):
        Transfer("birdsnip")
