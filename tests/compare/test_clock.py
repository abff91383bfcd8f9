"""Time adds up over interruptions; memory is that of the process; orphans end."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from burn_tf._checks import UserError
from burn_tf.compare.clock import RunClock, peak_memory, read_clock

ROOT = Path(__file__).resolve().parents[2]


def test_sums_over_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("burn_tf.compare.clock.time.monotonic", lambda: now[0])
    monkeypatch.setattr("burn_tf.compare.clock.peak_memory", lambda: 7)
    with RunClock(tmp_path):
        now[0] += 2.5
    monkeypatch.setattr("burn_tf.compare.clock.peak_memory", lambda: 5)
    with pytest.raises(KeyboardInterrupt), RunClock(tmp_path):
        now[0] += 4.0
        raise KeyboardInterrupt
    assert read_clock(tmp_path) == {"seconds": 6.5, "peak_bytes": 7}


def test_is_written_while_it_runs(tmp_path: Path) -> None:
    with RunClock(tmp_path, seconds=0.01):
        deadline = time.monotonic() + 10
        while read_clock(tmp_path)["seconds"] == 0 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert read_clock(tmp_path)["seconds"] > 0


@pytest.fixture
def alone(tmp_path: Path) -> tuple[str, dict[str, str]]:
    """Code that loads `clock` without TensorFlow, and the environment it needs."""
    stub = tmp_path / "burn_tf"
    stub.mkdir()
    (stub / "__init__.py").write_text("")
    (stub / "_files.py").write_text("atomic_write = None\n")
    path = str(ROOT / "burn_tf" / "compare" / "clock.py")
    code = (
        "import importlib.util, os, sys, time\n"
        "sys.path.pop(0)  # The folder it is started in, where the whole package may lie.\n"
        f"spec = importlib.util.spec_from_file_location('clock', {path!r})\n"
        "clock = importlib.util.module_from_spec(spec); spec.loader.exec_module(clock)\n"
    )
    return code, dict(os.environ) | {"PYTHONPATH": str(tmp_path)}


def test_peak_is_that_of_the_process_alone(alone: tuple[str, dict[str, str]]) -> None:
    """It does not begin with the peak of this process, which has TensorFlow; it never falls."""
    code, environment = alone
    code += (
        "print(clock.peak_memory()); block = bytearray(os.urandom(1)) * (100 << 20)\n"
        "print(clock.peak_memory()); del block; print(clock.peak_memory())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    first, held, freed = map(int, done.stdout.split())
    assert first < 60 << 20 < peak_memory()
    assert 95 << 20 < held - first < 110 << 20
    # The kernel counts in batches of pages per thread.
    assert abs(freed - held) < 1 << 20


def test_a_worker_ends_with_its_parent(alone: tuple[str, dict[str, str]]) -> None:
    """A grandchild that follows its parent is gone soon after the parent was killed."""
    code, environment = alone
    child = (
        f"{code}clock.follow_parent(os.getppid(), 0.05)\n"
        "print(os.getpid(), flush=True)\ntime.sleep(60)"
    )
    parent = (
        "import subprocess, sys, time\n"
        "subprocess.Popen([sys.executable, '-c', sys.argv[1]])\ntime.sleep(60)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", parent, child], stdout=subprocess.PIPE, text=True, env=environment
    )
    assert process.stdout is not None
    with process.stdout:
        pid = int(process.stdout.readline())
        process.kill()
        process.wait()
        assert _ends(pid)


def test_a_worker_whose_parent_is_gone_does_not_begin(alone: tuple[str, dict[str, str]]) -> None:
    """It took that long to import TensorFlow, and has been handed to another process."""
    code, environment = alone
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    code += f"clock.follow_parent({gone.pid})\nprint('at work')"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True)
    assert done.returncode == 1 and done.stdout == b""


@pytest.mark.parametrize("text", [b"\xff", b"{}", b"[1]", b'{"seconds": "x", "peak_bytes": 1}'])
def test_a_damaged_clock(text: bytes, tmp_path: Path) -> None:
    (tmp_path / "clock.json").write_bytes(text)
    with pytest.raises(UserError, match=r"clock\.json is damaged: delete it"):
        read_clock(tmp_path)


def _ends(pid: int) -> bool:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False
