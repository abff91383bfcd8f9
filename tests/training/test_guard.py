"""The guard stops on NaN and collapse, and says where."""

from __future__ import annotations

import math

import pytest
import tensorflow as tf

from burn_tf import backbones
from burn_tf.methods import MSBReg
from burn_tf.training import TrainingGuard, TrainingStopped

HEALTHY = {"loss": 1.0, "grad_norm": 1.0, "feature_std": 0.5, "learning_rate": 0.1}


class StandIn:
    """What the guard reads of a method."""

    def __init__(self) -> None:
        self.update_step = tf.Variable(12)
        self.trainable_variables = [tf.Variable(0.0, name="first"), tf.Variable(0.0, name="worst")]


def guard(patience: int = 3) -> TrainingGuard:
    callback = TrainingGuard(min_feature_std=0.01, patience=patience)
    callback.model = StandIn()
    return callback


@pytest.mark.parametrize("name", ["loss", "grad_norm"])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_stops_when_not_finite(name: str, value: float) -> None:
    logs = {**HEALTHY, name: value, "worst_variable": 1.0}
    with pytest.raises(TrainingStopped, match=rf"{name} is not finite at step 12 .*0\.1.*worst:0"):
        guard().on_train_batch_end(0, logs)


def test_stops_after_patience_in_a_row() -> None:
    callback = guard()
    flat = {**HEALTHY, "feature_std": 0.001, "worst_variable": 0.0}
    for logs in (flat, flat, HEALTHY, flat, flat):
        callback.on_train_batch_end(0, logs)
    with pytest.raises(TrainingStopped, match=r"collapsed .*0\.001 for 3 steps.* at step 12"):
        callback.on_train_batch_end(0, flat)


def test_stops_when_every_update_overflows() -> None:
    callback = guard()
    left_out = {**HEALTHY, "skipped_updates": 1.0}
    for _ in range(29):
        callback.on_train_batch_end(0, left_out)
    callback.on_train_batch_end(0, {**HEALTHY, "skipped_updates": 0.0})
    for _ in range(29):
        callback.on_train_batch_end(0, left_out)
    with pytest.raises(TrainingStopped, match=r"float16 for 30 steps.*step 12.*mixed_bfloat16"):
        callback.on_train_batch_end(0, left_out)


def test_a_rate_far_too_high_is_stopped() -> None:
    tf.keras.utils.set_random_seed(0)
    backbone = backbones.ReActNetTiny((16, 16, 3), include_top=False, pooling="avg")
    model = MSBReg(backbone, hidden_dim=8, embedding_dim=6)
    model.compile(tf.keras.optimizers.SGD(1e20))
    views = tuple(tf.random.normal((6, 16, 16, 3)) for _ in range(2))
    data = tf.data.Dataset.from_tensors(views).repeat(20)
    with pytest.raises(TrainingStopped, match=r"is not finite at step .*worst gradient in .*/"):
        model.fit(data, verbose=0, callbacks=[TrainingGuard()])


def test_equal_images_are_a_collapse() -> None:
    tf.keras.utils.set_random_seed(0)
    backbone = backbones.ReActNetTiny((16, 16, 3), include_top=False, pooling="avg")
    model = MSBReg(backbone, hidden_dim=8, embedding_dim=6)
    model.compile(tf.keras.optimizers.SGD(1e-3))
    views = tuple(tf.zeros((6, 16, 16, 3)) for _ in range(2))
    with pytest.raises(TrainingStopped, match="collapsed"):
        model.fit(
            tf.data.Dataset.from_tensors(views).repeat(20),
            verbose=0,
            callbacks=[TrainingGuard(patience=4)],
        )
