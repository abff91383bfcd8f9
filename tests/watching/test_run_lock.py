"""One process at a time works in a folder, and others see which; a killed one leaves its name."""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from burn_tf._checks import UserError
from burn_tf.watching import run_lock
from burn_tf.watching.run_lock import is_running, last_process, work_in

HOLDER = """
import importlib.util, sys, time
from pathlib import Path
sys.modules["burn_tf"] = importlib.util.module_from_spec(importlib.util.find_spec("burn_tf"))
from burn_tf.watching.run_lock import work_in
with work_in(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_held_and_given_back(tmp_path: Path) -> None:
    assert not is_running(tmp_path) and last_process(tmp_path) is None
    with work_in(tmp_path):
        assert is_running(tmp_path)
        me = last_process(tmp_path)
        assert me is not None and me.pid == os.getpid() and me.is_here
        assert me.host == socket.gethostname() and abs(me.started - time.time()) < 60
    assert not is_running(tmp_path) and last_process(tmp_path) is None
    with pytest.raises(KeyError), work_in(tmp_path):
        raise KeyError("inside")
    assert list(tmp_path.iterdir()) == []


def test_another_process_and_its_sudden_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_lock, "_WAIT_SECONDS", 0.1)
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    other = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout is not None and other.stdout.readline() == "held\n"
        assert is_running(tmp_path)
        with pytest.raises(UserError, match="another process is still at work"):
            work_in(tmp_path).__enter__()
        other.send_signal(signal.SIGKILL)
        other.wait(10)
    finally:
        other.kill()
    assert not is_running(tmp_path)
    killed = last_process(tmp_path)
    assert killed is not None and killed.pid == other.pid
    (tmp_path / "running.json").write_text("[1")
    assert last_process(tmp_path) is None


def test_looking_makes_no_file(tmp_path: Path) -> None:
    assert not is_running(tmp_path / "nowhere")
    assert list(tmp_path.iterdir()) == []


def test_file_system_without_locks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(handle: int) -> None:
        raise OSError(errno.ENOTSUP, "Operation not supported")

    for name in ("_lock", "_probe"):
        monkeypatch.setattr(f"burn_tf._file_lock.{name}", refuse)
    with work_in(tmp_path):
        assert "no locks: run one there only" in capsys.readouterr().err
        assert is_running(tmp_path)
    assert not is_running(tmp_path)
    # Killed here; at work, or killed, elsewhere.
    for host, pid, expected in ((socket.gethostname(), 2**22 + 1, False), ("other", 1, True)):
        record = {"pid": pid, "host": host, "started": 1.0}
        (tmp_path / "running.lock").touch()
        (tmp_path / "running.json").write_text(json.dumps(record))
        assert is_running(tmp_path) is expected
