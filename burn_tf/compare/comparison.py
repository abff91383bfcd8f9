"""Runs a plan, one process after the other, and keeps the table up to date."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from burn_tf._checks import UserError
from burn_tf._file_lock import hold_lock
from burn_tf._files import atomic_write
from burn_tf.compare.entries import BASELINES, METHODS, TEACHER
from burn_tf.compare.page import write_page
from burn_tf.compare.plan import Plan, Run, teacher_of
from burn_tf.compare.settings import Settings
from burn_tf.compare.table import Outcome, failure_lines, shown, summary, table_rows
from burn_tf.compare.worker import FAILURE_FILE, Job
from burn_tf.report import format_table
from burn_tf.training.pretraining import check_recipe

RECORD_FILE, TABLE_FILE, PAGE_FILE = "comparison.json", "table.json", "report.html"
LOG_FILE = "log.txt"
_WORKER = (sys.executable, "-m", "burn_tf.compare.worker")
# The terminal itself: a child cannot write to a Python stream.
_TERMINAL = 2
# For the update under way and its checkpoint.
_SECONDS_TO_SAVE = 60.0


class Comparison:
    """Every method of a plan on the same images, each run in a process of its own.

    Under `workdir` stand a folder per run (`METHOD-SEED`, `teacher-SEED`), `comparison.json` (the
    settings), `table.json` and `report.html`, both renewed after every run.

    Args:
        settings: what is compared.
        workdir: a new folder, or that of the same comparison, which then goes on. Methods and seeds
            may be added to it; the table shows all that it holds.
        json_file: where the table is written besides, or None.
        html_file: where the page is written besides, or None.
        run_job: does one run, returning the exit code of its process; a test may replace it.

    Raises:
        UserError: settings that cannot be run, or a folder of another comparison. Nothing has been
            written then.
    """

    def __init__(
        self,
        settings: Settings,
        workdir: str | os.PathLike[str],
        *,
        json_file: str | None = None,
        html_file: str | None = None,
        run_job: Callable[[Job], int] | None = None,
    ) -> None:
        self.settings = settings
        self.folder = Path(workdir)
        self.files = (json_file, html_file)
        self._run_job = run_job or run_in_process
        self.plan = Plan(settings, self.folder)
        self._record = self._wanted_record()
        # The plan of all that was ever asked for in this folder.
        self._whole = self.plan.with_added(*self._asked_before())
        self._whole.check_teacher_is_used()
        # A damaged file of any row is said now, not when the table is written.
        for run in self._whole.runs:
            Outcome.read(run)
        self._check_recipes()

    def run(self) -> dict[str, Any]:
        """Do what is left to do; returns what `table.json` holds."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with hold_lock(self.folder / ".lock", timeout_seconds=0.0):
            whole = self._whole.settings
            record = {**self._record, "methods": whole.methods, "seeds": whole.seeds}
            atomic_write(self.folder / RECORD_FILE, json.dumps(record, indent=2) + "\n")
            for index, run in enumerate(self.plan.runs):
                if not Outcome.read(run).is_final:
                    self._do(run, f"[{index + 1}/{len(self.plan.runs)}] {run.label}")
                    self._publish()
            return self._publish()

    @property
    def has_failures(self) -> bool:
        """Whether a run that these settings ask for has failed."""
        return any(Outcome.read(run).reason is not None for run in self.plan.runs)

    def _wanted_record(self) -> dict[str, Any]:
        sources = (self.plan.train, self.plan.test)
        record = {
            **self.settings.record(),
            "recipe": self.plan.base.to_dict(),
            "num_images": [source.num_images for source in sources],
            "fingerprints": [source.fingerprint for source in sources],
            "teacher": self.plan.teacher_digests,
        }
        plain: dict[str, Any] = json.loads(json.dumps(record))
        return plain

    def _asked_before(self) -> tuple[list[str], list[int]]:
        """Methods and seeds of the same comparison's earlier commands."""
        path = self.folder / RECORD_FILE
        if not path.exists():
            return [], []
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            if not isinstance(found, dict):
                raise ValueError(f"a {type(found).__name__}")
            methods, seeds = found.pop("methods", []), found.pop("seeds", [])
            if not all(isinstance(seed, int) for seed in seeds):
                raise ValueError(f"{seeds} for seeds")
            known = [name for name in methods if name in (*METHODS, *BASELINES)]
        except (TypeError, ValueError, RecursionError) as error:
            raise UserError(f"{path} is damaged: use another work directory") from error
        names = sorted({*found, *self._record})
        differing = [name for name in names if found.get(name) != self._record.get(name)]
        if differing == ["teacher"]:
            if self._record["teacher"] is None:
                raise UserError(
                    f"rows in {self.folder} learned from a float network that was given: give the "
                    "same --teacher again, also for rows that do not learn from it"
                )
            if found.get("teacher") is None and not self._have_learned(known, seeds):
                return known, seeds
        if differing:
            raise UserError(
                f"{self.folder} belongs to another comparison (differs in {', '.join(differing)}): "
                "use another work directory or delete it"
            )
        return known, seeds

    def _have_learned(self, methods: list[str], seeds: list[int]) -> bool:
        """Whether rows of earlier commands may have learned from a teacher that was trained."""
        if self.settings.preset is not None:
            return True
        runs = self.plan.with_added(methods, seeds).runs
        return any(teacher_of(run) == TEACHER for run in runs if run.row in methods)

    def _check_recipes(self) -> None:
        """Raise where a row cannot be trained as asked; rows before it would be done by then."""
        first = self.settings.seeds[0]
        left = [run for run in self.plan.runs if not Outcome.read(run).is_final]
        for run in left:
            if run.trained and run.recipe is not None and run.seed == first:
                try:
                    check_recipe(run.recipe)
                except UserError as error:
                    raise UserError(f"{run.row}: {error}") from error

    def _do(self, run: Run, label: str) -> None:
        say(label)
        (run.folder / FAILURE_FILE).unlink(missing_ok=True)
        settings = self.settings
        missing = self._missing_teacher(run)
        if missing is not None:
            failure = {"reason": missing, "kind": "teacher"}
            run.folder.mkdir(parents=True, exist_ok=True)
            atomic_write(run.folder / FAILURE_FILE, json.dumps(failure) + "\n")
            say(f"{label}: failed: {missing}")
            return
        code = self._run_job(
            Job(
                run,
                settings.data,
                settings.images,
                settings.strict,
                self.plan.image_size,
                settings.probes,
                settings.checkpoint_seconds,
                settings.teacher_cache,
            )
        )
        outcome = Outcome.read(run)
        if outcome.result is None and outcome.reason is None:
            failure = {"reason": _describe_exit(code, run), "kind": "exit"}
            atomic_write(run.folder / FAILURE_FILE, json.dumps(failure) + "\n")
            outcome = Outcome.read(run)
        say(f"{label}: {outcome.describe()}")

    def _missing_teacher(self, run: Run) -> str | None:
        """Why a run has no float network to learn from, where one of this plan should be it."""
        wanted = teacher_of(run)
        for teacher in self.plan.runs:
            if (teacher.row, teacher.seed) == (wanted, run.seed):
                outcome = Outcome.read(teacher)
                if outcome.result is None:
                    return f"{teacher.label} has no result ({outcome.describe()})"
        return None

    def _publish(self) -> dict[str, Any]:
        asked = {run.folder: run for run in self.plan.runs}
        runs = {run.folder: run for run in self._whole.runs} | asked
        outcomes = [Outcome.read(run) for run in runs.values()]
        outcomes = [o for o in outcomes if o.run.folder in asked or o.has_ended]
        rows = table_rows(self._whole, outcomes)
        table = {**summary(self._whole), "rows": rows}
        text = json.dumps(table, indent=2) + "\n"
        for path in (self.folder / TABLE_FILE, self.files[0]):
            if path is not None:
                atomic_write(path, text)
        for path in (self.folder / PAGE_FILE, self.files[1]):
            if path is not None:
                write_page(path, self._whole, table, outcomes)
        return table

    def text(self, table: dict[str, Any]) -> str:
        """Title, table, failures and notes for a terminal."""
        parts = [table["title"], format_table(shown(table)), "\n".join(failure_lines(table))]
        parts += ["\n".join(table["notes"]), f"Everything is in {self.folder}/ (open {PAGE_FILE})"]
        return "\n\n".join(filter(None, parts))


def run_in_process(job: Job) -> int:
    """Do a job in a fresh process; progress goes to the terminal, errors to the run's log.

    An interrupt of this process ends that one by SIGTERM, at which a run saves where it stands.
    """
    job.run.folder.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)
    }
    with open(job.run.folder / LOG_FILE, "ab") as log:
        worker = subprocess.Popen(
            (*_WORKER, str(os.getpid())),
            stdin=subprocess.PIPE,
            stdout=_TERMINAL,
            stderr=log,
            env=environment,
        )
        try:
            _give(worker, pickle.dumps(job))
        finally:
            _end(worker)
    return worker.returncode


def _give(worker: subprocess.Popen[bytes], job: bytes) -> None:
    """Hand a worker its job and wait for its end.

    In turns of a second: a signal that another thread was given does not end a longer one.
    """
    given: bytes | None = job
    while True:
        try:
            worker.communicate(given, timeout=1.0)
        except subprocess.TimeoutExpired:
            given = None  # What is left of it goes on being written.
        else:
            return


def _end(worker: subprocess.Popen[bytes]) -> None:
    """Let a worker that is still at work save, and go."""
    if worker.poll() is None:
        worker.terminate()
    try:
        worker.wait(_SECONDS_TO_SAVE)
    finally:
        worker.kill()
        worker.wait()


def _describe_exit(code: int, run: Run) -> str:
    if code < 0:
        cause = " (as when memory runs out)" if code == -9 else ""
        return f"ended by signal {-code}{cause}"
    return f"ended with exit code {code}, see {run.folder / LOG_FILE}"


def say(text: str) -> None:
    """A line on the terminal beside the table."""
    print(text, file=sys.stderr, flush=True)
