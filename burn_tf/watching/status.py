"""Where a run stands, read from its work directory."""

from __future__ import annotations

import dataclasses
import math
import os
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from burn_tf.report.numbers import format_duration, format_value
from burn_tf.watching.checkpoint_files import is_whole, newest_checkpoint
from burn_tf.watching.machine_memory import resident_bytes
from burn_tf.watching.run_files import (
    BACKBONE_FILE,
    METRICS_FILE,
    RUN_FILE,
    SHOWN_FIGURES,
    TEACHER_FOLDER,
    Plan,
    figures_of,
    last_lines,
    read_plan,
    share_of_waiting,
    steps_per_second,
    waiting_text,
)
from burn_tf.watching.run_lock import is_running, last_process

_STAGE = re.compile(r"stage(\d+)")


@dataclasses.dataclass(frozen=True)
class CheckpointState:
    """The newest checkpoint: its file, update, age in seconds, and whether its hash is right."""

    file: str
    step: int
    age_seconds: float
    whole: bool


@dataclasses.dataclass(frozen=True)
class RunStatus:
    """Where a run stands.

    Attributes:
        folder: its work directory.
        state: "running", "finished", "stopped" (it ended by itself, or was stopped), "killed" (it
            was cut off; the same command goes on) or "damaged" (it cannot go on).
        recipe: name, "" where it is not known.
        stage, stages: the stage that trains or trained last, from 1, and how many there are.
        step, total_steps: updates of this stage.
        seconds_left: of this and later stages at the present rate; None where not known.
        images_per_second: over the last updates; None where not known.
        waiting_share: part of the time of the same updates, 0 to 1, spent waiting for images; None
            where not known.
        age_seconds: since the last update was written; None before the first.
        figures: of the last update, by name.
        checkpoint: the newest, or None.
        process, host: who works or worked there; None where nobody does.
        memory_bytes: what that process holds, where it runs on this machine.
        problem: what is damaged, or "".
        teacher: of the run inside that trains the teacher, or None.
    """

    folder: str
    state: str
    recipe: str = ""
    stage: int = 0
    stages: int = 0
    step: int = 0
    total_steps: int = 0
    seconds_left: float | None = None
    images_per_second: float | None = None
    waiting_share: float | None = None
    age_seconds: float | None = None
    figures: dict[str, float] = dataclasses.field(default_factory=dict)
    checkpoint: CheckpointState | None = None
    process: int | None = None
    host: str | None = None
    memory_bytes: int | None = None
    problem: str = ""
    teacher: RunStatus | None = None

    def to_dict(self) -> dict[str, Any]:
        """Nested plain values, for JSON."""
        return dataclasses.asdict(self)


def read_status(workdir: str | os.PathLike[str]) -> RunStatus:
    """Where the run in a work directory stands.

    Args:
        workdir: of `burn-tf pretrain`, of a run that trains or does not.

    Raises:
        UserError: there is no run.
    """
    folder = Path(workdir)
    try:
        plan = read_plan(folder)
    except ValueError as error:
        # A UserError is one: it means that there is no run.
        if (folder / RUN_FILE).exists():
            return RunStatus(os.fspath(workdir), "damaged", problem=f"{RUN_FILE}: {error}")
        raise
    checkpoint = _checkpoint(folder)
    state, problem = _state(folder, checkpoint)
    inside = folder / TEACHER_FOLDER
    return RunStatus(
        os.fspath(workdir),
        state,
        checkpoint=checkpoint,
        problem=problem,
        teacher=read_status(inside) if (inside / RUN_FILE).exists() else None,
        **_progress(folder, plan, state),
        **(_process(folder) if state in ("running", "killed") else {}),
    )


def _state(folder: Path, checkpoint: CheckpointState | None) -> tuple[str, str]:
    problem = ""
    if checkpoint is not None and not checkpoint.whole:
        problem = f"{checkpoint.file} is damaged"
    if is_running(folder):
        return "running", problem
    if (folder / BACKBONE_FILE).exists():
        return "finished", problem
    others = checkpoint is not None and _others_whole(folder, checkpoint)
    if problem and not others:
        return "damaged", f"{problem}, and no other is whole"
    return ("killed" if last_process(folder) else "stopped"), problem


def _others_whole(folder: Path, newest: CheckpointState) -> bool:
    paths = (folder / "checkpoints").glob("stage*/checkpoint-*.burn")
    return any(is_whole(path) for path in paths if os.fspath(path) != newest.file)


def _checkpoint(folder: Path) -> CheckpointState | None:
    """The newest checkpoint; one that is replaced while it is read gives way to its successor."""
    while (found := newest_checkpoint(folder)) is not None:
        path, step = found
        try:
            age = max(time.time() - path.stat().st_mtime, 0.0)
            return CheckpointState(os.fspath(path), step, round(age, 1), is_whole(path))
        except FileNotFoundError:
            continue
    return None


def _process(folder: Path) -> dict[str, Any]:
    process = last_process(folder)
    if process is None:
        return {}
    alive = process.is_here and is_running(folder)
    memory = resident_bytes(process.pid) if alive else None
    return {"process": process.pid, "host": process.host, "memory_bytes": memory}


def _progress(folder: Path, plan: Plan, state: str) -> dict[str, Any]:
    lines = last_lines(folder)
    known = {"recipe": plan.recipe, "stages": plan.stages, "total_steps": plan.steps}
    if not lines:
        return {**known, "stage": 1}
    last, rate, waiting = lines[-1], steps_per_second(lines), share_of_waiting(lines)
    found = _STAGE.fullmatch(str(last["stage"]))
    stage = int(found[1]) if found else 1
    left = plan.steps * (plan.stages - stage + 1) - int(last["step"])
    moving = state == "running" and rate > 0
    return {
        **known,
        "stage": stage,
        "step": int(last["step"]),
        "seconds_left": round(left / rate, 1) if moving else None,
        "images_per_second": None if math.isnan(rate) else round(rate * plan.batch_size, 1),
        "waiting_share": None if math.isnan(waiting) else round(waiting, 4),
        "age_seconds": round(max(time.time() - (folder / METRICS_FILE).stat().st_mtime, 0.0), 1),
        "figures": figures_of(last),
    }


def status_text(statuses: Sequence[RunStatus]) -> str:
    """The statuses for people, a few lines each."""
    return "\n".join(line for status in statuses for line in _lines(status, status.folder))


def _lines(status: RunStatus, name: str) -> list[str]:
    head = f"{name}: {status.state}"
    if status.process is not None:
        held = "" if status.memory_bytes is None else f", {status.memory_bytes / 1e9:.2f} GB"
        head += f" (process {status.process} on {status.host}{held})"
    if status.recipe:
        head += f", recipe {status.recipe}"
    rows = [_progress_line(status)] if status.recipe else []
    shown = [f"{n} {format_value(status.figures[n])}" for n in SHOWN_FIGURES if n in status.figures]
    rows += ["  ".join(shown)] if shown else []
    if status.checkpoint is not None:
        made = f"checkpoint of step {status.checkpoint.step}"
        whole = "whole" if status.checkpoint.whole else "DAMAGED"
        rows.append(f"{made}, {format_duration(status.checkpoint.age_seconds)} old, {whole}")
    rows += [f"problem: {status.problem}"] if status.problem else []
    if status.teacher is not None:
        rows += _lines(status.teacher, "teacher")
    return [head, *(f"  {row}" for row in rows)]


def _progress_line(status: RunStatus) -> str:
    parts = [f"stage {status.stage} of {status.stages}, step {status.step} of {status.total_steps}"]
    if status.seconds_left is not None:
        parts.append(f"{format_duration(status.seconds_left)} left")
    if status.images_per_second is not None:
        parts.append(f"{status.images_per_second:.0f} images/s")
    if status.waiting_share is not None:
        parts.append(waiting_text(status.waiting_share))
    if status.age_seconds is not None:
        parts.append(f"last step {format_duration(status.age_seconds)} ago")
    return ", ".join(parts)
