"""Checkpoint files: round trip, every kind of damage, two kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.training.checkpoints import (
    CheckpointStore,
    DamagedCheckpoint,
    read_checkpoint,
    restore_variables,
    write_checkpoint,
)


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
    with pytest.raises(DamagedCheckpoint, match="delete it"):
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
    metadata, _, path, warnings = found
    assert metadata["step"] == 2 and path == store.paths()[0]
    assert len(warnings) == 1 and "checkpoint-0000000030" in warnings[0]
    store.paths()[0].write_bytes(b"")
    with pytest.raises(UserError, match="no whole checkpoint is left"):
        store.newest()
