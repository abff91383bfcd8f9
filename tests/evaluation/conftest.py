"""Sources and features whose right answers are known by construction."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from burn_tf.data import Source
from burn_tf.evaluation import EvaluationData


def _source(
    array: np.ndarray,
    labels: np.ndarray | None,
    class_names: tuple[str, ...] | None = None,
    split: str = "train",
) -> Source:
    return Source(
        name="made",
        split=split,
        labels=labels,
        class_names=class_names,
        fingerprint="0",
        array=array,
    )


@pytest.fixture
def make_source() -> Callable[..., Source]:
    return _source


@pytest.fixture
def golden() -> EvaluationData:
    """Four classes, one bright quadrant each; 3 of 40 test labels are wrong: 92.5 % is right."""
    rng = np.random.default_rng(0)

    def images(labels: np.ndarray) -> np.ndarray:
        array = rng.integers(0, 20, (len(labels), 8, 8, 3)).astype(np.uint8)
        for image, label in zip(array, labels, strict=True):
            row, column = divmod(int(label), 2)
            image[4 * row : 4 * row + 4, 4 * column : 4 * column + 4] += 200
        return array

    train, test = np.arange(400) % 4, np.arange(40) % 4
    wrong = test.copy()
    wrong[[3, 11, 20]] = (wrong[[3, 11, 20]] + 1) % 4
    return EvaluationData(
        _source(images(train), train), _source(images(test), wrong, split="test"), image_size=8
    )
