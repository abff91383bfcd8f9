"""What watching does around a run."""

from __future__ import annotations

import io
from pathlib import Path
from typing import cast

import pytest

from burn_tf._checks import UserError
from burn_tf.methods import SSLMethod
from burn_tf.training import watch as module
from burn_tf.training.memory import StepMemory, TooLittleMemory
from burn_tf.training.watch import Watch
from burn_tf.watching.run_lock import is_running


def test_session_holds_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("burn_tf.watching.run_lock._WAIT_SECONDS", 0.0)
    with Watch().session(tmp_path):
        assert is_running(tmp_path)
        with pytest.raises(UserError, match="another process is still at work"):
            Watch().session(tmp_path).__enter__()
    assert not is_running(tmp_path)


def test_refused_run_leaves_the_folder_free(tmp_path: Path) -> None:
    record = tmp_path / "run.json"
    record.write_text("{}")
    with pytest.raises(TooLittleMemory), Watch().session(tmp_path):
        raise TooLittleMemory("no room")
    assert not record.exists()
    # One that has trained keeps its claim, and so does one that fails otherwise.
    record.write_text("{}")
    with pytest.raises(KeyError), Watch().session(tmp_path):
        raise KeyError("other")
    (tmp_path / "metrics.jsonl").write_text("")
    with pytest.raises(TooLittleMemory), Watch().session(tmp_path):
        raise TooLittleMemory("no room")
    assert record.exists()


def test_memory_is_asked_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int]] = []

    def check(method: object, views: object, *, batch_size: int, ran: int) -> StepMemory:
        asked.append((batch_size, ran))
        return StepMemory(10**9, 2 * 10**8, 3 * 10**7, operations=10 * batch_size)

    monkeypatch.setattr(module, "check_memory", check)
    said = io.StringIO()
    method = cast(SSLMethod, None)
    watch = Watch()
    watch.check_memory(method, None, 64, said, "teacher ")
    watch.check_memory(method, None, 16, None)
    watch.check_memory(method, None, 8, None)
    Watch(ignore_memory=True).check_memory(method, None, 32, said)
    # With the largest graph that has run before.
    assert asked == [(64, 0), (16, 640), (8, 640)]
    assert said.getvalue() == "teacher peak memory about 1.23 GB\n"
    monkeypatch.setattr(module, "check_memory", lambda *args, **options: None)
    watch.check_memory(method, None, 4, said, "stage1: ")
    assert said.getvalue().splitlines()[1:] == ["stage1: peak memory is not predicted here"]
