"""Statuses of work directories in every state."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from burn_tf.watching.run_lock import work_in
from burn_tf.watching.status import read_status, status_text
from tests.watching.conftest import line, write_checkpoint

Make = Callable[..., Path]
# Two steps a second: 16 images a second.
LINES = [line(1, 1, 9.0, loss=2.0), *(line(1, k, 8.5 + 0.5 * k, loss=1.5) for k in range(2, 6))]


def test_new_and_running(make_run: Make) -> None:
    folder = make_run()
    status = read_status(folder)
    assert (status.state, status.stage, status.step, status.total_steps) == ("stopped", 1, 0, 9)
    assert status.images_per_second is None and status.checkpoint is None
    assert status.waiting_share is None
    assert status.process is None and status.seconds_left is None
    with work_in(folder):
        status = read_status(folder)
    assert (status.state, status.process) == ("running", os.getpid())
    if sys.platform == "linux":
        assert status.memory_bytes is not None and status.memory_bytes > 10**7


def test_progress(make_run: Make) -> None:
    folder = make_run(LINES)
    with work_in(folder):
        status = read_status(folder)
    assert (status.recipe, status.stage, status.stages, status.step) == ("toy", 1, 2, 5)
    assert status.images_per_second == 16.0
    # 13 of 18 steps are left.
    assert status.seconds_left == 6.5
    assert status.figures == {"loss": 1.5}
    assert status.age_seconds is not None and 0.0 <= status.age_seconds < 60
    text = status_text([status])
    assert text.startswith(f"{folder}: running (process {os.getpid()} on ")
    assert "stage 1 of 2, step 5 of 9, 0:07 left, 16 images/s, last step 0:" in text
    assert "loss 1.5" in text
    # One that does not run will not be done in any time.
    assert read_status(folder).seconds_left is None


def test_time_spent_waiting(make_run: Make) -> None:
    folder = make_run([{**row, "wait_seconds": 0.01} for row in LINES])
    status = read_status(folder)
    assert status.waiting_share == 0.02
    said = "step 5 of 9, 16 images/s, 2.0 % of the time waiting for images, last step 0:"
    assert said in status_text([status])


def test_checkpoints(make_run: Make) -> None:
    folder = make_run(LINES)
    write_checkpoint(folder, 1, 3)
    newest = write_checkpoint(folder, 1, 5)
    os.utime(newest, (0, os.stat(folder).st_mtime - 90))
    status = read_status(folder)
    assert status.state == "stopped" and status.problem == ""
    assert status.checkpoint is not None
    assert (status.checkpoint.file, status.checkpoint.step) == (str(newest), 5)
    assert status.checkpoint.whole and 80 < status.checkpoint.age_seconds < 150
    assert "checkpoint of step 5, 1:3" in status_text([status])
    newest.write_bytes(newest.read_bytes()[:-1])
    status = read_status(folder)
    assert status.checkpoint is not None and not status.checkpoint.whole
    assert (status.state, status.problem) == ("stopped", f"{newest} is damaged")
    assert "DAMAGED" in status_text([status])
    (newest.parent / "checkpoint-0000000003.burn").write_bytes(b"")
    status = read_status(folder)
    assert status.state == "damaged"
    assert status.problem == f"{newest} is damaged, and no other is whole"


def test_killed_and_finished(make_run: Make) -> None:
    folder = make_run(LINES)
    gone = {"pid": 12345, "host": "elsewhere", "started": 1.0}
    (folder / "running.json").write_text(json.dumps(gone))
    status = read_status(folder)
    assert (status.state, status.process, status.host) == ("killed", 12345, "elsewhere")
    assert status.memory_bytes is None
    (folder / "backbone.keras").write_bytes(b"model")
    status = read_status(folder)
    assert (status.state, status.process, status.seconds_left) == ("finished", None, None)


def test_teacher_inside(make_run: Make) -> None:
    folder = make_run()
    inside = make_run(LINES, folder=folder / "teacher", name="toy_teacher")
    with work_in(folder), work_in(inside):
        status = read_status(folder)
    assert status.teacher is not None and status.teacher.teacher is None
    assert (status.state, status.teacher.state, status.teacher.recipe) == (
        "running",
        "running",
        "toy_teacher",
    )
    rows = status_text([status]).splitlines()
    assert rows[2].startswith("  teacher: running")
    assert rows[3].startswith("    stage 1 of 2, step 5")
    content = json.loads(json.dumps(status.to_dict(), allow_nan=False))
    assert content["teacher"]["images_per_second"] == 16.0


def test_damaged_record(make_run: Make) -> None:
    folder = make_run()
    (folder / "run.json").write_text('{"recipe": ')
    status = read_status(folder)
    assert status.state == "damaged" and status.problem.startswith("run.json: ")
    assert f"{folder}: damaged\n  problem: run.json" in status_text([status])


def test_a_run_that_goes_on_while_it_is_read(
    make_run: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    import burn_tf.watching.status as module

    folder = make_run(LINES)
    write_checkpoint(folder, 1, 3)
    original, calls = module.is_whole, []

    def replaced(path: Path) -> bool:
        calls.append(path.name)
        if len(calls) == 1:
            write_checkpoint(folder, 1, 8)
            path.unlink()
        return original(path)

    monkeypatch.setattr(module, "is_whole", replaced)
    status = read_status(folder)
    assert status.checkpoint is not None and (status.checkpoint.step, status.checkpoint.whole) == (
        8,
        True,
    )


def test_needs_no_tensorflow(make_run: Make) -> None:
    program = (
        "import burn_tf_launcher, sys; burn_tf_launcher.place_package()\n"
        "from burn_tf.cli.main import main\n"
        f"code = main(['status', {str(make_run(LINES))!r}])\n"
        "assert 'tensorflow' not in sys.modules; sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "stopped, recipe toy" in done.stdout
