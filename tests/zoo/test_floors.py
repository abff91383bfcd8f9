"""A floor is measured on the first images of each class, equally many of each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.data import Source
from zoo import floors
from zoo.manifest import Floor

FLOOR = Floor("grey levels", "knn:5", "top1", 0.0, 60, 30)


def source(split: str, count: int = 90) -> Source:
    """Images of three classes, in turn, each of a grey level of its own."""
    labels = np.arange(count) % 3
    noise = np.random.default_rng(count).integers(0, 10, [count, 8, 8, 3])
    return Source.from_array((labels[:, None, None, None] * 80 + noise).astype(np.uint8), labels,
                             ("a", "b", "c"), name="grey levels", split=split)  # fmt: skip


def test_takes_the_first_of_each_class() -> None:
    whole = source("train")
    chosen = floors.first_of_each_class(whole, 7)
    assert chosen.labels.tolist() == [0, 0, 1, 1, 2, 2]
    np.testing.assert_array_equal(chosen.array, whole.array[[0, 3, 1, 4, 2, 5]])
    assert (chosen.name, chosen.split, chosen.class_names) == (
        "grey levels",
        "train",
        ("a", "b", "c"),
    )


@pytest.mark.parametrize(
    "make",
    [
        lambda: floors.first_of_each_class(source("train"), 2),
        lambda: floors.first_of_each_class(source("train"), 93),
        lambda: floors.first_of_each_class(Source.from_array(np.zeros([4, 8, 8, 3], np.uint8)), 2),
    ],
)
def test_refuses(make: Callable[[], Any]) -> None:
    with pytest.raises(UserError, match="for a floor"):
        make()


@pytest.fixture
def backbone() -> tf.keras.Model:
    """The mean of each channel tells the classes apart."""
    images = tf.keras.Input([8, 8, 3])
    return tf.keras.Model(images, tf.keras.layers.GlobalAveragePooling2D()(images))


@pytest.fixture(autouse=True)
def data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(floors, "load_source", lambda spec, split: source(split))


def test_measures(backbone: tf.keras.Model) -> None:
    assert floors.measure_floor(backbone, FLOOR, "anything") == 100.0


def test_unknown_metric(backbone: tf.keras.Model) -> None:
    floor = Floor("grey levels", "knn:5", "mAP", 0.0, 60, 30)
    with pytest.raises(UserError, match="`metric` must be one of"):
        floors.measure_floor(backbone, floor, "anything")
