"""When checkpoints are written, and that a signal leaves only after one."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
import tensorflow as tf

from burn_tf.training import CheckpointStore, PeriodicCheckpoint, periodic
from burn_tf.training.signals import StoppedBySignal, StopSignals


class StandIn:
    """What the callback reads of a method."""

    def __init__(self) -> None:
        self.update_step = tf.Variable(0, dtype=tf.int64)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(periodic.time, "monotonic", lambda: now[0])
    return now


def saver(folder: Path, stop: StopSignals | None = None) -> PeriodicCheckpoint:
    model = StandIn()
    metadata = {"stage": "stage2"}
    callback = PeriodicCheckpoint(CheckpointStore(folder), [model.update_step], metadata, 5.0, stop)
    callback.model = model
    return callback


def steps(callback: PeriodicCheckpoint) -> list[int]:
    return [int(path.stem.split("-")[1]) for path in callback.store.paths()]


def one_step(callback: PeriodicCheckpoint) -> None:
    callback.model.update_step.assign_add(1)
    callback.on_train_batch_end(0)


def test_time_between(tmp_path: Path, clock: list[float]) -> None:
    callback = saver(tmp_path)
    for seconds, expected in ((4.9, []), (0.1, [2]), (4.9, [2]), (0.1, [2, 4])):
        clock[0] += seconds
        one_step(callback)
        assert steps(callback) == expected
    written = callback.store.paths()[-1].stat().st_mtime_ns
    callback.on_train_end()
    assert callback.store.paths()[-1].stat().st_mtime_ns == written, "saved twice"


def test_a_signal_is_answered_at_the_end_of_the_step(tmp_path: Path, clock: list[float]) -> None:
    stop = StopSignals()
    callback = saver(tmp_path, stop)
    one_step(callback)
    stop.number = signal.SIGTERM
    with pytest.raises(StoppedBySignal) as left:
        one_step(callback)
    assert left.value.code == 143 and "stage2 is saved at step 2;" in left.value.line
    assert steps(callback) == [2]


def test_a_signal_during_the_last_save(tmp_path: Path, clock: list[float]) -> None:
    stop = StopSignals()
    callback = saver(tmp_path, stop)
    one_step(callback)
    stop.number = signal.SIGINT
    with pytest.raises(StoppedBySignal) as left:
        callback.on_train_end()
    assert left.value.code == 130
    assert steps(callback) == [1]
