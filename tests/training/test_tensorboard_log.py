"""Event files hold what `metrics.jsonl` holds, also of runs that were cut off."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from burn_tf.training.metrics_log import MetricsLog
from burn_tf.training.tensorboard_log import TensorBoardLog


class Stepping(tf.keras.Model):
    """Stands in for a method: its update count."""

    def __init__(self, step: int) -> None:
        super().__init__()
        self.update_step = tf.Variable(step, dtype=tf.int64)


def train(folder: Path, stage: str, first: int, last: int, board: bool = True) -> None:
    """What `fit` calls from update `first` to `last`."""
    model = Stepping(first - 1)
    log = MetricsLog(folder / "metrics.jsonl", stage)
    log.drop_after(first - 1)
    events = TensorBoardLog(folder / "metrics.jsonl", folder / "tensorboard", stage)
    callbacks: list[tf.keras.callbacks.Callback] = [log, events] if board else [log]
    for callback in callbacks:
        callback.set_model(model)
        callback.on_train_begin()
    for step in range(first, last + 1):
        model.update_step.assign(step)
        logs = {"loss": np.float32(1 / step), "learning_rate": 0.1 * step, "worst_variable": 3.0}
        for callback in callbacks:
            callback.on_train_batch_end(0, logs)
    for callback in callbacks:
        callback.on_train_end()


def events_of(folder: Path) -> dict[int, dict[str, float]]:
    found: dict[int, dict[str, float]] = {}
    for path in sorted(folder.glob("events.out.tfevents.*")):
        for record in tf.data.TFRecordDataset(str(path)):
            event = tf.compat.v1.Event.FromString(record.numpy())
            for value in event.summary.value:
                steps = found.setdefault(event.step, {})
                assert value.tag not in steps, "written twice"
                steps[value.tag] = value.simple_value
    return found


def lines_of(folder: Path, stage: str) -> dict[int, dict[str, float]]:
    rows: list[dict[str, Any]] = [
        json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()
    ]
    return {
        row["step"]: {k: float(np.float32(v)) for k, v in row.items() if k not in ("stage", "step")}
        for row in rows
        if row["stage"] == stage
    }


def test_equal_to_the_metrics(tmp_path: Path) -> None:
    train(tmp_path, "stage1", 1, 3)
    found = events_of(tmp_path / "tensorboard" / "stage1")
    assert list(found) == [1, 2, 3]
    assert found == lines_of(tmp_path, "stage1")
    assert found[2]["loss"] == 0.5 and found[3]["learning_rate"] == pytest.approx(0.3)
    assert set(found[1]) == {"loss", "learning_rate", "time"}


def test_updates_that_are_done_twice_stand_there_once(tmp_path: Path) -> None:
    train(tmp_path, "stage1", 1, 5)
    # Cut off after update 5, with a checkpoint of update 2.
    train(tmp_path, "stage1", 3, 6)
    found = events_of(tmp_path / "tensorboard" / "stage1")
    assert sorted(found) == [1, 2, 3, 4, 5, 6]
    assert found == lines_of(tmp_path, "stage1")


def test_switched_on_late(tmp_path: Path) -> None:
    train(tmp_path, "stage1", 1, 4, board=False)
    train(tmp_path, "stage2", 1, 2)
    for stage, steps in (("stage1", [1, 2, 3, 4]), ("stage2", [1, 2])):
        found = events_of(tmp_path / "tensorboard" / stage)
        assert sorted(found) == steps
        assert found == lines_of(tmp_path, stage)
