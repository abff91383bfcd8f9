"""Finished runs are kept, failed ones are rows, other comparisons are refused."""

from __future__ import annotations

import html
import json
import math
import os
import pickle
import shutil
import signal
import subprocess
import sys
import threading
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from burn_tf._checks import UserError
from burn_tf._file_lock import hold_lock
from burn_tf.cli.main import main
from burn_tf.cli.termination import termination_raised
from burn_tf.compare import Comparison, comparison, worker
from burn_tf.compare.entries import METHODS, TEACHERS
from burn_tf.compare.worker import Job
from tests.compare.saved_teacher import saved_teacher

ROOT = Path(__file__).resolve().parents[2]
Make = Callable[..., Comparison]


def test_it_goes_on_where_it_stopped(compared: Make, fake: Any) -> None:
    first = fake()
    compared(first, methods=("byol", "raw_pixels"), seeds=(1, 2)).run()
    assert first.done == ["byol-1", "raw_pixels-1", "byol-2"]
    again = fake()
    added = compared(again, methods=("byol", "burn"), seeds=(2, 3))
    table = added.run()
    # Only what was added: a method, a seed and the teacher it needs.
    assert again.done == ["teacher-2", "teacher-3", "burn-2", "byol-3", "burn-3"]
    # The table is that of the whole folder, and so is a later command's.
    held = {"teacher": 2, "byol": 3, "raw_pixels": 1, "burn": 2}
    assert {row["row"]: row["finished"] for row in table["rows"]} == held
    assert table["seeds"] == [1, 2, 3]
    last = compared(fake(), methods=("byol",), seeds=(1,)).run()
    assert {row["row"]: row["runs"] for row in last["rows"]} == held


def test_what_failed_before_is_shown_and_does_not_fail_another_command(
    compared: Make, fake: Any
) -> None:
    failing = compared(lambda job: -9, methods=("swav",))
    failing.run()
    assert failing.has_failures
    other = compared(fake(), methods=("byol",))
    rows = {row["row"]: row for row in other.run()["rows"]}
    assert "signal 9" in rows["swav"]["failures"]["1"] and not rows["byol"]["failures"]
    assert not other.has_failures


def test_pixels_stay_in_the_table(compared: Make, fake: Any) -> None:
    for methods, seeds in ((("byol",), (2,)), (("raw_pixels",), (1,)), (("byol",), (2,))):
        table = compared(fake(), methods=methods, seeds=seeds).run()
    assert {row["row"]: row["finished"] for row in table["rows"]} == {"byol": 1, "raw_pixels": 1}


def test_a_shown_row_needs_nothing_that_it_was_trained_with(
    compared: Make, fake: Any, tmp_path: Path
) -> None:
    teacher = saved_teacher(tmp_path)
    head = Path(teacher).with_name("projector.keras")
    head.write_bytes(b"a head")
    compared(fake(), methods=("burn", "s2bnn"), teacher=teacher).run()
    head.unlink()
    table = compared(fake(), methods=("burn",), seeds=(2,), teacher=teacher).run()
    assert {row["row"]: row["finished"] for row in table["rows"]} == {"burn": 2, "s2bnn": 1}


def test_another_methods_damaged_result_is_said_before_anything_is_trained(
    compared: Make, fake: Any, tmp_path: Path
) -> None:
    compared(fake(), methods=("swav",)).run()
    (tmp_path / "work" / "swav-1" / "result.json").write_bytes(b"")
    with pytest.raises(UserError, match=r"swav-1/result\.json is damaged"):
        compared(fake(), methods=("byol",))


def test_failed_runs_are_rows_and_are_tried_again(
    compared: Make, fake: Any, tmp_path: Path
) -> None:
    runs = fake()

    def some_fail(job: Job) -> int:
        if job.run.row == "byol":
            job.run.folder.mkdir(parents=True)
            failure = {"reason": "out of memory: 3 GB", "kind": "ResourceExhaustedError"}
            (job.run.folder / "failure.json").write_text(json.dumps(failure))
            return 1
        return -9 if job.run.row == "simsiam" else runs(job)

    methods = ("byol", "simsiam", "swav")
    comparison = compared(some_fail, methods=methods)
    table = comparison.run()
    failures = {row["row"]: row["failures"] for row in table["rows"]}
    assert failures["byol"] == {"1": "out of memory: 3 GB"}
    assert "signal 9" in failures["simsiam"]["1"] and failures["swav"] == {}
    assert "BYOL, seed 1 failed: out of memory: 3 GB" in comparison.text(table)
    healed = fake()
    table = compared(healed, methods=methods).run()
    assert healed.done == ["byol-1", "simsiam-1"]
    assert not any(row["failures"] for row in table["rows"])
    assert json.loads((tmp_path / "work" / "table.json").read_text()) == table


def breaking_down(reason: str) -> tuple[Callable[[Job], int], list[str]]:
    """Stands for a worker whose runs all break down, and the rows that it was given."""
    tried = []

    def run_job(job: Job) -> int:
        tried.append(job.run.row)
        job.run.folder.mkdir(parents=True, exist_ok=True)
        failure = {"reason": reason, "kind": "TrainingStopped"}
        (job.run.folder / "failure.json").write_text(json.dumps(failure))
        return 1

    return run_job, tried


def test_runs_that_broke_down_stay_as_they_are(compared: Make, fake: Any, tmp_path: Path) -> None:
    breaks_down, tried = breaking_down("features have collapsed at step 3")
    compared(breaks_down, methods=("byol",)).run()
    comparison = compared(breaks_down, methods=("byol",))
    table = comparison.run()
    assert tried == ["byol"]
    text = comparison.text(table)
    assert "BYOL, seed 1 failed: features have collapsed at step 3" in text
    assert "unless their folders are deleted: byol-1" in text
    shutil.rmtree(tmp_path / "work" / "byol-1")
    again = fake()
    table = compared(again, methods=("byol",)).run()
    assert again.done == ["byol-1"] and not table["rows"][0]["failures"]


def test_rows_whose_teacher_broke_down_say_so_and_start_no_process(
    compared: Make, fake: Any, tmp_path: Path
) -> None:
    breaks_down, tried = breaking_down("loss is not finite")
    for _ in range(2):
        table = compared(breaks_down, methods=("burn",)).run()
    assert tried == ["teacher"]
    (failure,) = (row["failures"]["1"] for row in table["rows"] if row["row"] == "burn")
    assert failure == "teacher, seed 1 has no result (failed: loss is not finite)"
    shutil.rmtree(tmp_path / "work" / "teacher-1")
    again = fake()
    compared(again, methods=("burn",)).run()
    assert again.done == ["teacher-1", "burn-1"]


def test_the_users_teacher_may_be_moved_and_not_exchanged(
    compared: Make, fake: Any, tmp_path: Path
) -> None:
    first = saved_teacher(tmp_path)
    compared(fake(), methods=("burn",), teacher=first).run()
    (tmp_path / "elsewhere").mkdir()
    moved = saved_teacher(tmp_path / "elsewhere")
    assert compared(fake(), methods=("burn",), teacher=moved).run()["rows"][0]["finished"] == 1
    saved_teacher(tmp_path, seed=1)
    with pytest.raises(UserError, match=r"another comparison \(differs in teacher\)"):
        compared(fake(), methods=("burn",), teacher=first)


def test_methods_are_added_beside_a_teacher(compared: Make, fake: Any, tmp_path: Path) -> None:
    teacher = saved_teacher(tmp_path)
    compared(fake(), methods=("byol",)).run()
    with pytest.raises(UserError, match="`teacher` must be left out where no row learns"):
        compared(fake(), methods=("byol",), teacher=teacher)
    compared(fake(), methods=("burn",), teacher=teacher).run()
    with pytest.raises(UserError, match="give the same --teacher again"):
        compared(fake(), methods=("swav",))
    rows = compared(fake(), methods=("swav",), teacher=teacher).run()["rows"]
    assert [row["row"] for row in rows if row["finished"]] == ["byol", "burn", "swav"]


def test_a_teacher_comes_too_late_for_rows_that_trained_theirs(
    compared: Make, fake: Any, tmp_path: Path
) -> None:
    compared(fake(), methods=("burn",)).run()
    with pytest.raises(UserError, match=r"another comparison \(differs in teacher\)"):
        compared(fake(), methods=("burn",), teacher=saved_teacher(tmp_path))


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"budget": 4}, "budget"),
        ({"width": 2.0}, "recipe, width"),
        ({"probes": ("knn:5",)}, "probes"),
        ({"images": 66}, "fingerprints, images, num_images"),
        ({"overrides": ("optimizer.learning_rate=0.1",)}, "overrides, recipe"),
    ],
)
def test_another_comparison_is_refused(
    compared: Make, fake: Any, given: dict[str, object], named: str
) -> None:
    compared(fake(), methods=("byol",)).run()
    with pytest.raises(UserError, match=rf"differs in {named}\)"):
        compared(fake(), methods=("byol",), **given)


@pytest.mark.parametrize(
    ("methods", "settings", "message"),
    [
        (("simsiam", "burn"), "views.policy=cifar,cifar", r"^teacher|^burn: `views\.policy`"),
        (("byol", "wmse"), "batch_size=2", r"^wmse: .*larger `batch_size`"),
        (("byol",), "optimizer.learning_rate=-1", r"^`optimizer\.learning_rate`"),
        (("byol",), "accumulate=5", r"^byol: `batch_size` must be a multiple"),
        (("byol", "infomin"), "views.image_size=4", r"^infomin: images must have at least 6"),
    ],
)
def test_what_a_row_cannot_train_is_said_before_any_row_is(
    methods: tuple[str, ...], settings: str, message: str, compared: Make, fake: Any, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=message):
        compared(fake(), methods=methods, overrides=(settings,))
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"3", b"\xff", 100_000 * b"[", b'{"seeds": 3}', b'{"seeds": [[]]}']
)
def test_a_damaged_record_is_refused(
    content: bytes, compared: Make, fake: Any, tmp_path: Path
) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "comparison.json").write_bytes(content)
    with pytest.raises(UserError, match=r"comparison\.json is damaged: use another work"):
        compared(fake(), methods=("byol",))


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff"])
def test_a_damaged_result_is_said(
    content: bytes, compared: Make, fake: Any, tmp_path: Path
) -> None:
    compared(fake(), methods=("byol",)).run()
    path = tmp_path / "work" / "byol-1" / "result.json"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"result\.json is damaged: delete it and run the same"):
        compared(fake(), methods=("byol",)).run()
    path.unlink()
    assert compared(fake(), methods=("byol",)).run()["rows"][0]["finished"] == 1


SAVING_WORKER = """
import pathlib, pickle, signal, sys
def saved(*_):
    pathlib.Path(sys.argv[1]).write_text("saved")
    sys.exit(143)
signal.signal(signal.SIGTERM, saved)
sys.stdin.buffer.read()
pathlib.Path(sys.argv[1]).write_text("begun")
signal.pause()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_lets_the_worker_save(
    number: signal.Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = tmp_path / "seen"
    monkeypatch.setattr(comparison, "_WORKER", (sys.executable, "-c", SAVING_WORKER, str(seen)))
    run = types.SimpleNamespace(folder=tmp_path / "run")
    job = Job(run, "digits", None, False, 8, ("knn:5",), 1.0)  # type: ignore[arg-type]

    def interrupt() -> None:
        while not seen.exists():
            time.sleep(0.05)
        os.kill(os.getpid(), number)

    before = {n: signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=interrupt).start()
    try:
        with pytest.raises(KeyboardInterrupt), termination_raised():
            comparison.run_in_process(job)
    finally:
        for known, handler in before.items():
            signal.signal(known, handler)
    assert seen.read_text() == "saved"


def test_one_at_a_time(compared: Make, fake: Any, tmp_path: Path) -> None:
    comparison = compared(fake(), methods=("byol",))
    with (
        hold_lock(tmp_path / "work" / ".lock", 0.0),
        pytest.raises(UserError, match="another process"),
    ):
        comparison.run()


def test_the_table_is_written_after_every_run(compared: Make, fake: Any, tmp_path: Path) -> None:
    runs, seen = fake(), []

    def watched(job: Job) -> int:
        path = tmp_path / "work" / "table.json"
        rows = json.loads(path.read_text())["rows"] if path.exists() else []
        seen.append(sum(row["finished"] for row in rows))
        return int(runs(job))

    compared(watched, methods=("byol", "swav", "vicreg")).run()
    assert seen == [0, 1, 2]
    assert "<svg" in (tmp_path / "work" / "report.html").read_text()


COMMAND = [
    *("compare", "--data=digits", "--budget=2", "--methods=byol,burn", "--backbone=reactnet_tiny"),
    *("--width=1", "--images=256", "--set=batch_size=32", "--checkpoint_seconds=0.1"),
]


@pytest.mark.slow
def test_killed_in_the_middle_it_goes_on(tmp_path: Path) -> None:
    """End to end: SIGKILL while BYOL's second stage runs, then the same command again."""
    command = [sys.executable, "-m", "burn_tf", *COMMAND, f"--workdir={tmp_path}"]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    metrics = tmp_path / "byol-1" / "metrics.jsonl"
    _wait_for(lambda: metrics.exists() and '"stage2", "step": 3' in metrics.read_text(), process)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    teacher = (tmp_path / "teacher-1" / "result.json").stat().st_mtime_ns
    assert not (tmp_path / "byol-1" / "result.json").exists()
    before = json.loads((tmp_path / "byol-1" / "clock.json").read_text())["seconds"]
    time.sleep(3)  # The worker sees within a second that its parent is gone.
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "teacher-1" / "result.json").stat().st_mtime_ns == teacher
    lines = [json.loads(line) for line in metrics.read_text().splitlines()]
    steps = [(line["stage"], line["step"]) for line in lines]
    assert steps == [(stage, step) for stage in ("stage1", "stage2") for step in range(1, 9)]
    table = json.loads((tmp_path / "table.json").read_text())
    rows = {row["row"]: row for row in table["rows"]}
    assert rows["byol"]["seconds"] > before > 1
    assert all(row["finished"] == 1 and row["collapsed"] == 0 for row in rows.values())
    assert all(row["peak_bytes"] > 100 << 20 for row in rows.values())
    # Ten classes: the teacher's features of 256 digits are well above chance.
    assert rows["teacher"]["probes"]["linear:fast"]["mean"] > 40
    for row in rows.values():
        assert row["title"] in done.stdout


def in_this_process(job: Job) -> int:
    """A job as a process of its own gets it, without the seconds that starting one takes."""
    worker.work(pickle.loads(pickle.dumps(job)))
    return 0


@pytest.mark.slow
def test_every_method_on_digits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The whole command over all methods, in one stage on a tiny network."""
    monkeypatch.setattr(comparison, "run_in_process", in_this_process)
    words = [
        f"--methods={','.join((*METHODS, 'untrained', 'raw_pixels'))}",
        "--data=digits",
        "--images=96",
        "--backbone=reactnet_tiny",
        "--width=1",
        "--stages=one",
        "--budget=1",
        "--set=batch_size=32",
        "--probes=knn:5",
    ]
    assert main(["compare", *words, f"--workdir={tmp_path}"]) == 0
    rows = {row["row"]: row for row in json.loads((tmp_path / "table.json").read_text())["rows"]}
    assert set(rows) == {*METHODS, *TEACHERS, "untrained", "raw_pixels"}
    for row in rows.values():
        assert row["finished"] == 1 and row["failures"] == {}
        assert row["collapsed"] in (None, 0)
        _check_learned(tmp_path / f"{row['row']}-1" / "metrics.jsonl", row)
    # Ten classes: pixels tell them apart, and a few updates leave more than chance.
    scores = {name: row["probes"]["knn:5"]["mean"] for name, row in rows.items()}
    assert scores["raw_pixels"] > 50 and sum(scores.values()) > 20 * len(scores)
    page = html.unescape((tmp_path / "report.html").read_text())
    shown = capsys.readouterr().out
    assert all(row["title"] in page and row["title"] in shown for row in rows.values())


def _check_learned(metrics: Path, row: dict[str, Any]) -> None:
    """Whatever was trained had a loss, and gradients that moved the backbone."""
    if row["views"] is None:
        assert not metrics.exists()
        return
    lines = [json.loads(line) for line in metrics.read_text().splitlines()]
    assert len(lines) >= 3 and all(math.isfinite(line["loss"]) for line in lines)
    assert all(line["grad_norm_extractor"] > 0 for line in lines), row["row"]
    if row["row"] not in TEACHERS:
        assert any(line["flipped_signs"] > 0 for line in lines), row["row"]


def _wait_for(condition: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 600
    while not condition():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
