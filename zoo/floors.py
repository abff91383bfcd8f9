"""Measures what an entry's floor is about: a probe on part of a data set."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.data import Source, load_source
from burn_tf.evaluation import EvaluationData, get_protocol
from zoo.manifest import Floor


def measure_floor(backbone: tf.keras.Model, floor: Floor, data: str) -> float:
    """The floor's figure for a backbone, in percent.

    Args:
        backbone: a fixed input size, features [B, D].
        floor: what to measure; its `value` is not read.
        data: what `burn_tf.data.load_source` takes, with labels.

    Raises:
        UserError: too few images, no labels, or a metric that the protocol does not give.
    """
    train = first_of_each_class(load_source(data, split="train"), floor.train_images)
    test = first_of_each_class(load_source(data, split="test"), floor.test_images)
    result = get_protocol(floor.protocol).run(
        backbone, EvaluationData(train, test, backbone.input_shape[1])
    )
    if floor.metric not in result.metrics:
        raise UserError(
            f"`metric` must be one of {', '.join(result.metrics)}. Received: {floor.metric!r}"
        )
    return float(result.metrics[floor.metric])


def first_of_each_class(source: Source, count: int) -> Source:
    """`count` labelled images of one size, the first ones of each class, equally many of each.

    Raises:
        UserError: no labels, images of different sizes, or fewer of some class than needed.
    """
    if source.labels is None or source.array is None:
        raise UserError(
            f"`data` must have labelled images of one size for a floor. Received: {source.name!r}"
        )
    classes = np.unique(source.labels)
    share = count // len(classes)
    chosen = [np.flatnonzero(source.labels == index)[:share] for index in classes]
    fewest = min(len(indices) for indices in chosen)
    if share < 1 or fewest < share:
        raise UserError(
            f"`data` must have {share} images of each of {len(classes)} classes for a floor on "
            f"{count}, at least one. Received: {fewest} of one class in {source.name!r}"
        )
    indices = np.concatenate(chosen)
    return Source.from_array(
        source.array[indices],
        source.labels[indices],
        source.class_names,
        name=source.name,
        split=source.split,
    )
