"""`transfer:NAME`: BURN's probe, on the set of that name and on no other."""

from __future__ import annotations

import dataclasses

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
def test_another_number_of_classes_is_refused(golden, named):
    names = tuple("abcd") if named else None
    train = dataclasses.replace(golden.train, class_names=names)
    test = dataclasses.replace(golden.test, class_names=names)
    data = EvaluationData(train, test, 8)
    message = r"`transfer:cub200` needs .* 200 classes.*cub:CUB_200_2011.*linear:burn.* with 4"
    with pytest.raises(UserError, match=message):
        Transfer("cub200").run(lambda images: pytest.fail("features were computed"), data)


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
    assert result.protocol == "transfer:cifar10" and result.metrics["top1"] == pytest.approx(top1)


def test_ten_classes_of_another_set_are_refused():
    digits = load_source("digits", split="test")
    with pytest.raises(UserError, match=r"needs the classes airplane, .* Received: 'digits'"):
        Transfer("cifar10").run(raw_pixels, EvaluationData(digits, digits, 8))


def test_a_typo_shows_the_nearest_name():
    with pytest.raises(UserError, match="Did you mean 'birdsnap'"):
        Transfer("birdsnip")
