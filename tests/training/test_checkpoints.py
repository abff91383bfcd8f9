"""Checkpoint files: round trip, every kind of damage, two kept."""

from __future__ import annotations

import errno
import io
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.training import checkpoints
from burn_tf.training.checkpoints import (
    CheckpointStore,
    DamagedCheckpoint,
    newest_whole,
    read_checkpoint,
    restore_variables,
    write_checkpoint,
)
from tests.conformance import cases, trained


def some_variables(offset: float = 0.0) -> list[tf.Variable]:
    return [
        tf.Variable(np.arange(6, dtype=np.float32).reshape(2, 3) + offset, name="kernel"),
        tf.Variable(np.int64(7 + offset), name="step"),
        tf.Variable(tf.constant([1.5, -2.0], tf.bfloat16), name="half"),
        tf.Variable(np.zeros((0, 4), np.float32), name="empty"),
    ]


def test_round_trip(tmp_path: Path) -> None:
    variables = some_variables()
    write_checkpoint(tmp_path / "a.burn", variables, {"stage": "stage1"})
    metadata, arrays, names = read_checkpoint(tmp_path / "a.burn")
    assert metadata == {"stage": "stage1"}
    assert [name.split(":")[0] for name in names] == ["kernel", "step", "half", "empty"]
    others = some_variables(offset=3.0)
    restore_variables(others, arrays, "a.burn")
    for ours, theirs in zip(others, variables, strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())


@pytest.mark.parametrize("damage", ["empty", "cut", "flipped", "longer", "foreign"])
def test_damage_is_seen(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "a.burn"
    write_checkpoint(path, some_variables(), {})
    data = bytearray(path.read_bytes())
    if damage == "flipped":
        data[len(data) // 2] ^= 1
    changed = {
        "empty": b"",
        "cut": bytes(data[:-10]),
        "flipped": bytes(data),
        "longer": bytes(data) + b"x",
        "foreign": b"PK" + bytes(100),
    }
    path.write_bytes(changed[damage])
    with pytest.raises(DamagedCheckpoint, match=r"damaged|no whole.*Received: \d+ bytes"):
        read_checkpoint(path)


def test_other_shapes_are_refused_before_assigning(tmp_path: Path) -> None:
    variables = some_variables(offset=1.0)
    arrays = [variable.numpy() for variable in variables]
    arrays[1] = np.zeros(3)
    before = variables[0].numpy()
    with pytest.raises(UserError, match="other variables"):
        restore_variables(variables, [arrays[0] + 1, *arrays[1:]], "a.burn")
    np.testing.assert_array_equal(variables[0].numpy(), before)


def test_store_keeps_two_and_falls_back(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path)
    assert store.newest() is None
    for step in (1, 2, 30):
        store.save(step, some_variables(offset=step), {})
    assert [path.name for path in store.paths()] == [
        "checkpoint-0000000002.burn",
        "checkpoint-0000000030.burn",
    ]
    store.paths()[-1].write_bytes(b"BURNTF01 and then nothing")
    found = store.newest()
    assert found is not None
    assert found.metadata["step"] == 2 and found.path == store.paths()[0]
    assert len(found.warnings) == 1 and "checkpoint-0000000030" in found.warnings[0]
    assert names(tmp_path) == ["checkpoint-0000000002.burn", "damaged-0000000030.burn"]
    store.paths()[0].write_bytes(b"")
    with pytest.raises(UserError, match=r"no whole checkpoint is left in .*: delete that folder"):
        store.newest()
    assert names(tmp_path) == ["checkpoint-0000000002.burn", "damaged-0000000030.burn"]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-50] ^= 1
    path.write_bytes(bytes(data))


STATES: dict[str, Callable[[Path], Any]] = {
    "whole": lambda path: None,
    "cut": _cut,
    "flipped": _flip,
    "empty": lambda path: path.write_bytes(b""),
    "deleted": Path.unlink,
}


@pytest.mark.parametrize("first", STATES)
def test_the_newest_whole_file_of_two_stages(tmp_path: Path, first: str) -> None:
    """The last checkpoint of stage 1, then two of stage 2, in every combination of states."""
    for second, third in itertools.product(STATES, repeat=2):
        check_newest(tmp_path / f"{second}-{third}", (first, second, third))


def check_newest(tmp_path: Path, states: tuple[str, ...]) -> None:
    stores = [CheckpointStore(tmp_path / stage) for stage in ("stage1", "stage2")]
    order = [(0, 9), (1, 3), (1, 6)]
    paths = [stores[stage].save(step, some_variables(step), {}) for stage, step in order]
    for path, state in zip(paths, states, strict=True):
        STATES[state](path)
    whole = [place for place, state in zip(order, states, strict=True) if state == "whole"]
    damaged = [path for path, state in zip(paths, states, strict=True) if state in DAMAGE]
    if not whole and damaged:
        with pytest.raises(UserError, match="no whole checkpoint is left in"):
            newest_whole(stores)
        return
    stage, found = newest_whole(stores)
    if not whole:
        assert (stage, found) == (0, None)
        return
    assert found is not None and (stage, found.metadata["step"]) == whole[-1]
    np.testing.assert_array_equal(found.arrays[0], some_variables(whole[-1][1])[0].numpy())
    newer = [path for path in reversed(damaged) if path > found.path]
    assert len(newer) == len(found.warnings)
    assert all(str(path) in text for path, text in zip(newer, found.warnings, strict=True))
    assert not any(path.exists() for path in newer)
    # A second look finds the same, and nothing to warn of.
    again = newest_whole(stores)
    assert (again[0], again[1].path, again[1].warnings) == (stage, found.path, [])


DAMAGE = {"cut", "flipped", "empty"}


def test_what_a_killed_writer_left_is_removed(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path)
    (tmp_path / ".checkpoint-0000000004.x1y2.burn").write_bytes(b"BURNTF01 and")
    assert store.newest() is None
    store.save(5, some_variables(), {})
    assert names(tmp_path) == ["checkpoint-0000000005.burn"]


def test_a_full_disk_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk fills up at any of the bytes of the third checkpoint, or when it is synchronised."""
    store = CheckpointStore(tmp_path)
    for step in (1, 2):
        store.save(step, some_variables(step), {})
    before = {path: path.read_bytes() for path in store.paths()}

    class FullDisk(io.FileIO):
        room = 0

        def write(self, data: Any) -> int:
            FullDisk.room -= len(data)
            if FullDisk.room < 0:
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().write(data)

    monkeypatch.setattr(checkpoints, "open", lambda path, mode: FullDisk(path, mode), raising=False)
    size = len(before[store.paths()[0]])
    for room in (0, 8, 100, size - 1):
        FullDisk.room = room
        with pytest.raises(OSError, match=r"No space left.*checkpoint-0000000003\.burn"):
            store.save(3, some_variables(3), {})
        assert {path: path.read_bytes() for path in store.paths()} == before
        assert len(names(tmp_path)) == 2
    FullDisk.room = 2 * size
    store.save(3, some_variables(3), {})
    assert names(tmp_path) == ["checkpoint-0000000002.burn", "checkpoint-0000000003.burn"]


@pytest.mark.slow
def test_saved_on_some_replicas_resumed_on_others(
    tmp_path: Path, two_replicas: tf.distribute.Strategy
) -> None:
    """Queue, averages, momentum, statistics: two updates on two replicas, two on one, and back."""
    case = cases.METHODS["MoCoV2"]

    def learn(strategy: tf.distribute.Strategy, updates: int) -> None:
        with strategy.scope():
            method = cases.build(case)
            method.compile(tf.keras.optimizers.SGD(0.01, momentum=0.9), accumulate=2)
        found = CheckpointStore(tmp_path).newest()
        variables = [*method.weights, *method.optimizer.variables]
        if found is not None:
            restore_variables(variables, found.arrays, "checkpoint")
        method.fit(trained.views_of(case).repeat(updates).take(updates), verbose=0)
        CheckpointStore(tmp_path).save(int(method.update_step.numpy()), variables, {})

    alone = tf.distribute.get_strategy()
    learn(alone, 4)
    expected = CheckpointStore(tmp_path).newest().arrays
    for first, second in ((two_replicas, alone), (alone, two_replicas)):
        CheckpointStore(tmp_path).clear()
        learn(first, 2)
        learn(second, 2)
        resumed = CheckpointStore(tmp_path).newest()
        assert resumed.metadata["step"] == 4
        for value, wanted in zip(resumed.arrays, expected, strict=True):
            np.testing.assert_allclose(value, wanted, rtol=0, atol=1e-6)
