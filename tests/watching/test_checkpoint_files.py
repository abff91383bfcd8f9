"""Checkpoint files are judged as the reader of `burn_tf.training` judges them."""

from __future__ import annotations

from pathlib import Path

import pytest
import tensorflow as tf

from burn_tf.training.checkpoints import CheckpointStore, DamagedCheckpoint, read_checkpoint
from burn_tf.watching.checkpoint_files import is_whole, newest_checkpoint


@pytest.fixture
def file(tmp_path: Path) -> Path:
    store = CheckpointStore(tmp_path / "checkpoints" / "stage1")
    return store.save(7, [tf.Variable([1.0, 2.0])], {"stage": "stage1"})


def test_whole(file: Path, tmp_path: Path) -> None:
    assert is_whole(file)
    assert newest_checkpoint(tmp_path) == (file, 7)


def test_agrees_with_the_reader_on_every_damage(file: Path) -> None:
    data = file.read_bytes()
    damaged = [data[:cut] for cut in (0, 7, 20, 40, len(data) - 1)]
    damaged += [data + b"x", data[:60] + bytes([data[60] ^ 1]) + data[61:], b"x" + data[1:]]
    for content in damaged:
        file.write_bytes(content)
        with pytest.raises(DamagedCheckpoint):
            read_checkpoint(file)
        assert not is_whole(file), len(content)


def test_newest_is_that_of_the_latest_stage(file: Path, tmp_path: Path) -> None:
    later = tmp_path / "checkpoints" / "stage2"
    assert newest_checkpoint(tmp_path / "none") is None
    for step in (2, 5):
        CheckpointStore(later).save(step, [tf.Variable(0.0)], {})
    (later / "checkpoint-x.burn").write_bytes(b"")
    assert newest_checkpoint(tmp_path) == (later / "checkpoint-0000000005.burn", 5)
