"""Labelled features of both splits, checked once for every probe."""

from __future__ import annotations

import dataclasses
import datetime
import importlib.metadata
import platform
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.backbones.identity import (
    architecture_sha256,
    backbone_name,
    feature_layer,
    weights_sha256,
)
from burn_tf.data import Source
from burn_tf.evaluation import feature_bank
from burn_tf.evaluation.features import EvaluationData

# What figures depend on beside this library; each is installed with it, except where it cannot be.
_LIBRARIES = ("numpy", "scikit-learn", "tensorflow", "tf-keras", "larq", "keras-cv")


@dataclasses.dataclass(frozen=True)
class FeatureSplits:
    """Features [N, D] (float32 or float16, perhaps mapped) and labels of both splits."""

    train_features: np.ndarray
    train_labels: np.ndarray
    test_features: np.ndarray
    test_labels: np.ndarray
    num_classes: int


def _labels(side: str, source: Source) -> np.ndarray:
    if source.labels is None or len(source.labels) == 0 or np.min(source.labels) < 0:
        if source.targets is not None:
            raise UserError(
                "this protocol needs one class per image: use svm:voc07 for images of several. "
                f"Received: {source.name!r} ({source.split})"
            )
        raise UserError(
            f"a probe needs labels: give `{side}` class folders or a labelled set. "
            f"Received: {source.name!r} ({source.split}) without labels"
        )
    return np.unique(source.labels)


def _check_same_classes(data: EvaluationData, train: np.ndarray, test: np.ndarray) -> None:
    names = data.train.class_names, data.test.class_names
    if names[0] is not None and names[1] is not None and list(names[0]) != list(names[1]):
        received = f"{len(names[0])} class names in train and {len(names[1])} others in test"
    elif not np.isin(test, train).all():
        received = (
            f"{len(train)} classes in train and {len(test)} in test, not all of them in train"
        )
    else:
        return
    raise UserError(f"`train` and `test` must have the same classes. Received: {received}")


def check_labels(data: EvaluationData) -> int:
    """Number of classes of a pair of splits that a probe can use.

    Raises:
        UserError: a split has no labels, the train split has one class, or the classes differ.
    """
    train, test = _labels("train", data.train), _labels("test", data.test)
    if len(train) < 2:
        raise UserError(
            "a probe needs at least two classes in `train`. "
            f"Received: {data.train.name!r} with {len(train)}"
        )
    _check_same_classes(data, train, test)
    return int(train.max()) + 1


def part_of_each_class(labels: np.ndarray, fraction: float, seed: int) -> np.ndarray:
    """Mask bool [N] of a random part of every class, rounded up: at least one image of each."""
    order = np.random.default_rng(seed).permutation(len(labels))
    mask = np.zeros(len(labels), bool)
    for value in np.unique(labels):
        own = order[labels[order] == value]
        mask[own[: int(np.ceil(fraction * len(own)))]] = True
    return mask


def labelled_features(backbone: Callable[..., tf.Tensor], data: EvaluationData) -> FeatureSplits:
    """Check the labels of both splits (before any work), then extract the features of both."""
    check_labels(data)
    return split_features(backbone, data)


def split_features(backbone: Callable[..., tf.Tensor], data: EvaluationData) -> FeatureSplits:
    """Features of both splits; from `data.cache` where they are kept there.

    `num_classes` is that of the train split: the highest label and one, or the columns of labels
    that are a table.
    """
    train = feature_bank.features(backbone, data.train, data)
    test = feature_bank.features(backbone, data.test, data)
    classes = train.labels.shape[1] if train.labels.ndim > 1 else int(train.labels.max()) + 1
    return FeatureSplits(train.features, train.labels, test.features, test.labels, classes)


def provenance(
    backbone: Callable[..., tf.Tensor],
    data: EvaluationData,
    splits: FeatureSplits,
    settings: dict[str, Any],
) -> dict[str, Any]:
    """All that a probe's figures depend on, as JSON types."""
    return run_provenance(backbone, data, settings) | {
        "feature_dim": int(splits.train_features.shape[1]),
        "num_classes": splits.num_classes,
        "feature_dtype": splits.train_features.dtype.name,
        "features": "inference mode, one centre crop per image, no augmentation",
    }


def run_provenance(
    backbone: Callable[..., tf.Tensor], data: EvaluationData, settings: dict[str, Any]
) -> dict[str, Any]:
    """What the figures of any protocol depend on, as JSON types."""
    from burn_tf import __version__

    return {
        "settings": settings,
        "data": data.describe(),
        "backbone": backbone_name(backbone),
        "feature_layer": feature_layer(backbone),
        "weights_sha256": weights_sha256(backbone),
        "architecture_sha256": architecture_sha256(backbone),
        "versions": {"burn_tf": __version__, **_versions()},
        "command": command_line(),
        "machine": platform.machine(),
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
    }


def command_line() -> str:
    """The words that started this process, as a shell takes them; the program without its folder.

    Example:
        >>> from burn_tf.evaluation.splits import command_line
        >>> isinstance(command_line(), str)
        True
    """
    program, *words = sys.argv or [""]
    return shlex.join([Path(program).name, *words])


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    # A build for one kind of machine has another name than `tensorflow`.
    return found | {"tensorflow": tf.__version__}
