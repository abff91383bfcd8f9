"""What a work directory of `burn-tf pretrain` says about its run."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from burn_tf._checks import UserError
from burn_tf.report.numbers import is_number

# Names of what a work directory holds.
RUN_FILE = "run.json"
METRICS_FILE = "metrics.jsonl"
BACKBONE_FILE = "backbone.keras"
# By what a method leaves beside the backbone.
HEAD_FILES = {"projector": "projector.keras", "classifier": "classifier.keras"}
TEACHER_FOLDER = "teacher"
# What people are shown of a line, where it has it.
SHOWN_FIGURES = ("loss", "feature_std", "feature_weight", "grad_norm", "learning_rate")
# Seconds that an update waited for its batch.
WAIT_FIGURE = "wait_seconds"
# In every line of the metrics, and no figure of the training.
_PLACE = ("stage", "step", "time")
_RECENT_STEPS = 40
# Lines of a metrics file have some 600 bytes.
_TAIL_BYTES = 1 << 16


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a run is to do: `run.json`.

    Attributes:
        recipe: name of the recipe.
        stages: how many.
        steps: updates of each stage.
        batch_size: images of an update.
    """

    recipe: str
    stages: int
    steps: int
    batch_size: int


def read_plan(folder: Path) -> Plan:
    """The plan of the run in a work directory.

    Raises:
        UserError: there is no run.
        ValueError: its record is damaged.
    """
    try:
        record = json.loads((folder / RUN_FILE).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UserError(
            "`workdir` must be a work directory of `burn-tf pretrain`: check the path. Received: "
            f"{os.fspath(folder)!r}, without {RUN_FILE}"
        ) from error
    try:
        recipe, images = record["recipe"], int(record["images"])
        batch = int(recipe["batch_size"])
        whole = int(recipe["epochs"]) * (images // batch)
        most = recipe["max_steps"]
        steps = whole if most is None else min(whole, int(most))
        return Plan(str(recipe["name"]), len(recipe["stages"]), steps, batch)
    except KeyError as error:
        raise ValueError(f"it lacks {error}") from error
    except (TypeError, ZeroDivisionError, OverflowError) as error:
        raise ValueError("it holds something else than a run's settings") from error


def last_lines(folder: Path) -> list[dict[str, Any]]:
    """The last lines of the metrics in the order they were written; damaged ones are left out."""
    try:
        with open(folder / METRICS_FILE, "rb") as file:
            start = max(file.seek(0, os.SEEK_END) - _TAIL_BYTES, 0)
            file.seek(start)
            lines = file.read().decode("utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []
    return parsed(lines[1:] if start else lines)


def parsed(lines: Sequence[str]) -> list[dict[str, Any]]:
    """The lines of a metrics file that are whole."""
    found = []
    for line in lines:
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict) and _has_place(row):
            found.append(row)
    return found


def _has_place(row: Mapping[str, Any]) -> bool:
    return isinstance(row.get("stage"), str) and all(
        is_number(row.get(name)) and math.isfinite(row[name]) for name in _PLACE[1:]
    )


def figures_of(row: Mapping[str, Any]) -> dict[str, float]:
    """The finite numbers of a line: loss terms, norms, rates."""
    found = {name: value for name, value in row.items() if name not in _PLACE}
    return {n: value for n, value in found.items() if is_number(value) and math.isfinite(value)}


def steps_per_second(lines: Sequence[Mapping[str, Any]]) -> float:
    """Updates per second over the last lines of one process in one stage, NaN where unknown.

    The first update of a process, which traces the graph, is left out where there are others.
    """
    return _rate(_recent(lines))


def mean_steps_per_second(lines: Sequence[Mapping[str, Any]]) -> float:
    """Updates per second over all parts of a run, without the first of each; NaN where unknown."""
    return _rate(parts_of(lines))


def share_of_waiting(lines: Sequence[Mapping[str, Any]]) -> float:
    """Share of their time that the updates of `steps_per_second` waited for images, or NaN."""
    return _waiting(_recent(lines))


def mean_share_of_waiting(lines: Sequence[Mapping[str, Any]]) -> float:
    """Share of their time that those of `mean_steps_per_second` waited for images, or NaN."""
    return _waiting(parts_of(lines))


def waiting_text(share: float) -> str:
    """The share for people."""
    return f"{100 * share:.1f} % of the time waiting for images"


def _recent(lines: Sequence[Mapping[str, Any]]) -> list[Sequence[Mapping[str, Any]]]:
    return [parts_of(lines)[-1][-_RECENT_STEPS:]] if lines else []


def _waiting(parts: Sequence[Sequence[Mapping[str, Any]]]) -> float:
    """The mean wait of an update times updates per second; the first of each part is left out."""
    rows = [row for part in parts for row in part[1:] if is_number(row.get(WAIT_FIGURE))]
    waited = sum(float(row[WAIT_FIGURE]) for row in rows)
    return _rate(parts) * waited / len(rows) if rows else math.nan


def _rate(parts: Sequence[Sequence[Mapping[str, Any]]]) -> float:
    ends = [(part[0], part[-1]) for part in parts if part]
    seconds = sum(last["time"] - first["time"] for first, last in ends)
    steps = sum(last["step"] - first["step"] for first, last in ends)
    return float(steps / seconds) if seconds > 0 else math.nan


def _continues(line: Mapping[str, Any], following: Mapping[str, Any]) -> bool:
    same = line["stage"] == following["stage"]
    return bool(same and line["time"] <= following["time"] and line["step"] < following["step"])


def parts_of(lines: Sequence[Mapping[str, Any]]) -> list[Sequence[Mapping[str, Any]]]:
    """The lines of each process in each stage, whose time counts from 0."""
    cuts = [at for at in range(1, len(lines)) if not _continues(lines[at - 1], lines[at])]
    bounds = [0, *cuts, len(lines)]
    return [lines[start:end] for start, end in itertools.pairwise(bounds) if start < end]
