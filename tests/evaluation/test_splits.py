"""What a probe refuses before any work is done."""

from __future__ import annotations

import dataclasses
import sys

import numpy as np
import pytest
import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.backbones.identity import architecture_sha256, weights_sha256
from burn_tf.evaluation import PROTOCOLS, EvaluationData, get_protocol, raw_pixels
from burn_tf.evaluation.splits import check_labels, command_line

ARRAY = np.zeros((6, 8, 8, 3), np.uint8)
LABELS = np.array([0, 1, 2, 0, 1, 2])


def _data(make_source, train, test, train_names=None, test_names=None):
    return EvaluationData(
        make_source(ARRAY, train, train_names),
        make_source(ARRAY, test, test_names, "test"),
        image_size=8,
    )


def test_images_of_several_classes_are_sent_to_the_svm(make_source):
    data = _data(make_source, None, LABELS)
    several = dataclasses.replace(data.train, targets=np.eye(6, 3, dtype=np.int8))
    with pytest.raises(UserError, match="use svm:voc07 for images of several"):
        check_labels(dataclasses.replace(data, train=several))


def test_counts_the_classes_of_train(make_source):
    assert check_labels(_data(make_source, LABELS, LABELS)) == 3
    assert check_labels(_data(make_source, LABELS * 2, np.zeros(6, int))) == 5


@pytest.mark.parametrize(
    ("train", "test", "message"),
    [
        (None, LABELS, "give `train` class folders"),
        (LABELS, None, "give `test` class folders"),
        (LABELS - 1, LABELS, "without labels"),
        (np.zeros(6, int), np.zeros(6, int), "at least two classes.*with 1"),
        (LABELS, LABELS + 1, "same classes.*3 classes in train and 3 in test"),
        (LABELS % 2, LABELS, "same classes.*2 classes in train and 3 in test"),
    ],
)
def test_refuses_labels_that_do_not_fit(make_source, train, test, message):
    data = _data(make_source, train, test)
    with pytest.raises(UserError, match=message) as caught:
        check_labels(data)
    assert "\n" not in str(caught.value)


def test_refuses_classes_of_other_names(make_source):
    data = _data(make_source, LABELS, LABELS, ("a", "b", "c"), ("a", "b", "d", "e"))
    with pytest.raises(UserError, match="3 class names in train and 4 others in test"):
        check_labels(data)


@pytest.mark.parametrize("protocol", sorted(set(PROTOCOLS) - {"embedding"}))
def test_every_protocol_refuses_before_it_computes_features(make_source, protocol):
    data = _data(make_source, None, LABELS)
    with pytest.raises(UserError):
        get_protocol(protocol).run(lambda images: pytest.fail("features were computed"), data)


def test_an_unlabelled_source_is_named_before_a_large_k(make_source):
    with pytest.raises(UserError, match="labels"):
        get_protocol("knn:200").run(raw_pixels, _data(make_source, None, LABELS))


def test_a_record_says_all_that_its_figures_depend_on(golden, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/some/folder/burn-tf", "evaluate", "--data=my photos"])
    layers = [tf.keras.layers.AveragePooling2D(4), tf.keras.layers.Flatten(name="last")]
    backbone = tf.keras.Sequential([tf.keras.Input((8, 8, 3)), *layers], name="pooling")
    plain = EvaluationData(golden.train, golden.test, 8, antialias=False)
    facts = get_protocol("knn:5").run(backbone, plain).provenance
    assert facts["weights_sha256"] == weights_sha256(backbone)
    assert facts["architecture_sha256"] == architecture_sha256(backbone)
    assert facts["backbone"] == "pooling" and facts["feature_layer"] == "last"
    assert facts["command"] == "burn-tf evaluate '--data=my photos'"
    assert facts["feature_dtype"] == "float32"
    names = {"burn_tf", "python", "numpy", "scikit-learn", "tensorflow", "larq"}
    assert names <= set(facts["versions"]) and facts["versions"]["numpy"] == np.__version__
    data = facts["data"]
    assert data["antialias"] is False and data["resize_mode"] == "bilinear"
    assert "no antialias" in data["resize"]
    assert data["train"]["fingerprint"] == golden.train.fingerprint


def test_a_function_has_no_weights(golden):
    facts = get_protocol("knn:5").run(raw_pixels, golden).provenance
    assert facts["weights_sha256"] is None and facts["feature_layer"] == "raw_pixels"
    assert facts["data"]["antialias"] is True


def test_a_command_without_words(monkeypatch):
    monkeypatch.setattr(sys, "argv", [])
    assert command_line() == "''"
