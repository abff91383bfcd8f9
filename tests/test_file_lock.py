"""One holder at a time, whatever becomes of it. Two processes: test_download.py."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from burn_tf._checks import UserError
from burn_tf._file_lock import hold_lock


def test_is_gone_afterwards(tmp_path: Path) -> None:
    with hold_lock(tmp_path / "lock", 1):
        assert (tmp_path / "lock").exists()
    assert os.listdir(tmp_path) == []


def test_is_gone_after_a_failure(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), hold_lock(tmp_path / "lock", 1):
        raise RuntimeError
    with hold_lock(tmp_path / "lock", 0):
        pass
    assert os.listdir(tmp_path) == []


def test_gives_up_in_time(tmp_path: Path) -> None:
    refused = pytest.raises(UserError, match="another process")
    with hold_lock(tmp_path / "lock", 1), refused, hold_lock(tmp_path / "lock", 0.2):
        pass


def test_never_two_at_once(tmp_path: Path) -> None:
    """The holder deletes the file that others wait for: none of them may hold a deleted one."""
    inside, most, rounds = [0], [0], [0]

    def work() -> None:
        for _ in range(15):
            with hold_lock(tmp_path / "lock", 60):
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                rounds[0] += 1
                time.sleep(0.001)
                inside[0] -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (most[0], rounds[0]) == (1, 60)
    assert os.listdir(tmp_path) == []


def test_a_file_left_by_the_dead_locks_nobody_out(tmp_path: Path) -> None:
    (tmp_path / "lock").write_text("")
    with hold_lock(tmp_path / "lock", 0):
        pass


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_forked_child_does_not_keep_it(tmp_path: Path) -> None:
    program = (
        "import os, sys, time, pathlib\n"
        "import burn_tf_launcher; burn_tf_launcher.place_package()\n"
        "from burn_tf._file_lock import hold_lock\n"
        "path = pathlib.Path(sys.argv[1])\n"
        "with hold_lock(path, 1):\n"
        "    child = os.fork()\n"
        "    if child == 0:\n"
        "        time.sleep(20); os._exit(0)\n"
        "with hold_lock(path, 1):\n"
        "    print('free')\n"
        "os.kill(child, 9)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "lock")],
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "free\n", done.stderr


def test_makes_its_folder(tmp_path: Path) -> None:
    with hold_lock(tmp_path / "none" / "yet" / "lock", 0):
        assert os.listdir(tmp_path / "none" / "yet") == ["lock"]


def test_no_place_for_its_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"), hold_lock(tmp_path / "file" / "lock", 0):
        pass


def test_a_file_system_without_locks_is_said_and_worked_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(handle: int) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr("burn_tf._file_lock._lock", refuse)
    done = []
    with hold_lock(tmp_path / "lock", 0):
        done.append("work")
    assert done and list(tmp_path.iterdir()) == []
    said = capsys.readouterr().err
    assert said == f"burn-tf: warning: {tmp_path} has no locks: run one there only\n"
    with pytest.raises(KeyError), hold_lock(tmp_path / "lock", 0):
        raise KeyError("of the work")
    monkeypatch.setattr("burn_tf._file_lock._lock", lambda handle: 1 / 0)
    with pytest.raises(ZeroDivisionError), hold_lock(tmp_path / "lock", 0):
        pass
