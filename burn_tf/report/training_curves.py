"""Reads `metrics.jsonl` of a run and draws how its training went."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from burn_tf.report.charts import Chart, Series, line_chart
from burn_tf.report.numbers import is_number

# What a line holds besides loss terms.
_NOT_LOSSES = frozenset(
    ["step", "epoch", "time", "seconds", "feature_weight", "feature_std", "flipped_signs",
     "learning_rate", "momentum", "decay", "ema_decay", "images_per_second", "steps_per_second",
     "batch_size", "views", "classifier_information", "code_information",
     "wait_seconds"]
)  # fmt: skip
_SMOOTH_FROM = 120
_PART = "grad_norm_"
# Titles and options of `overlaid_curves`.
_OVERLAID: dict[str, tuple[str, dict[str, Any]]] = {
    "loss": ("Loss of {}", {}),
    "feature_std": (
        "Spread of the features of {} (collapse shows as 0)",
        {"from_zero": True},
    ),
}


@dataclasses.dataclass(frozen=True)
class Metrics:
    """What a metrics file holds.

    Args:
        stages: per stage, in order of appearance, its lines by ascending step. Of two lines of
            one step the later counts: a resumed run repeats the steps after its checkpoint.
        skipped: number of lines that could not be read, such as one cut off by a crash.
    """

    stages: dict[str, list[dict[str, Any]]]
    skipped: int

    def curve(self, stage: str, key: str) -> tuple[np.ndarray, np.ndarray]:
        """Returns steps and values (float64) of the lines of `stage` that have a number `key`."""
        found = [(row["step"], row[key]) for row in self.stages[stage] if is_number(row.get(key))]
        pairs = np.array(found, np.float64).reshape(-1, 2)
        return pairs[:, 0], pairs[:, 1]

    def keys(self, stage: str) -> list[str]:
        """Returns the names that hold a number somewhere in `stage`, in order of appearance."""
        rows = self.stages[stage]
        return list(dict.fromkeys(k for row in rows for k, v in row.items() if is_number(v)))


def read_metrics(path: str | os.PathLike[str]) -> Metrics:
    """Reads a file of one JSON object per line, each with a number `step`.

    Args:
        path: of the file. A line without `stage` belongs to the stage "training".

    Returns:
        The `Metrics`; lines that are not such objects are counted in `skipped`.

    Raises:
        OSError: the file cannot be read.
    """
    stages: dict[str, dict[float, dict[str, Any]]] = {}
    skipped = 0
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in filter(str.strip, file):
            row = _parse(line)
            if row is None:
                skipped += 1
            else:
                stages.setdefault(str(row.get("stage", "training")), {})[row["step"]] = row
    ordered = {name: [rows[step] for step in sorted(rows)] for name, rows in stages.items()}
    return Metrics(ordered, skipped)


def _parse(line: str) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except ValueError:
        return None
    usable = isinstance(row, dict) and is_number(row.get("step")) and np.isfinite(row["step"])
    return row if usable else None


def training_curves(path: str | os.PathLike[str]) -> list[Chart]:
    """Draws the charts of a run from its `metrics.jsonl`.

    Args:
        path: of the file, see `read_metrics`.

    Returns:
        One chart of loss terms per stage (two where terms that change their sign stand beside
        much larger ones), then lambda(t), gradient norms, spread of the features, flipped signs
        and learning rate, each only if the file has it. Stages stand one after the other.

    Raises:
        OSError: the file cannot be read.
    """
    metrics = read_metrics(path)
    charts = [chart for stage in metrics.stages for chart in _loss_charts(metrics, stage)]
    charts += _overviews(metrics)
    if metrics.skipped and charts:
        note = f"{metrics.skipped} damaged line(s) of the metrics file were left out."
        charts[0] = dataclasses.replace(charts[0], note=f"{charts[0].note} {note}".strip())
    return charts


def overlaid_curves(
    runs: Mapping[str, Metrics],
    keys: Sequence[str] = ("loss", "feature_std"),
    of: str = "each run",
) -> list[Chart]:
    """Draws the loss and the spread of the features of several runs over one axis each.

    Args:
        runs: metrics by name of the run; a line each, its stages one after the other.
        keys: which of the two.
        of: what the titles call the runs.

    Returns:
        The charts that at least one run has something for.
    """
    charts = []
    for key in keys:
        found = {name: _chained(metrics, [key])[0].get(key) for name, metrics in runs.items()}
        series = [Series(name, s.x, s.y) for name, s in found.items() if s is not None]
        if series:
            title, options = _OVERLAID[key]
            charts.append(_draw(title.format(of), series, y_label=key.replace("_", " "), **options))
    return charts


def stage_name(stage: str) -> str:
    """Returns the name of a stage for people: "stage1" gives "stage 1"."""
    return re.sub(r"(?<=[a-z])(?=\d)", " ", stage.replace("_", " "))


def _loss_charts(metrics: Metrics, stage: str) -> list[Chart]:
    names = [k for k in metrics.keys(stage) if k not in _NOT_LOSSES and "grad_norm" not in k]
    names.sort(key=lambda name: name != "loss")
    curves = {name: metrics.curve(stage, name) for name in names}
    sizes = {name: _size(y) for name, (_, y) in curves.items()}
    known = [size for size in sizes.values() if size > 0]
    # Terms of very different size need a logarithmic axis, which has no place for signs.
    far_apart = bool(known) and max(known) > 30 * min(known)
    signed = [name for name in names if far_apart and (curves[name][1] <= 0).any()]
    positive = [name for name in names if name not in signed]
    place = stage_name(stage)
    charts = [_loss_chart(f"Loss terms, {place}", curves, positive, far_apart)]
    charts.append(_loss_chart(f"Loss terms with a sign, {place}", curves, signed, False))
    return [chart for chart in charts if chart is not None]


def _size(y: np.ndarray) -> float:
    finite = np.abs(y[np.isfinite(y)])
    return float(np.median(finite)) if len(finite) else 0.0


def _loss_chart(
    title: str, curves: dict[str, tuple[np.ndarray, np.ndarray]], names: Sequence[str], log: bool
) -> Chart | None:
    if not names:
        return None
    series = [Series(name.replace("_", " "), *curves[name]) for name in names]
    return _draw(title, series, y_label="loss", log_y=log)


def _draw(title: str, series: Sequence[Series], *, smooth: bool = True, **options: Any) -> Chart:
    """A line chart over the updates, smoothed where there are many."""
    window, note = _window(series) if smooth else 1, ""
    if window > 1:
        note = f"Pale: every update; bold: mean over {window} updates."
    if options.get("log_y"):
        options["y_label"] += ", logarithmic"
    return line_chart(title, series, x_label="update", smooth=window, note=note, **options)


def _window(series: Sequence[Series]) -> int:
    longest = max((len(s.y) for s in series), default=0)
    return min(2 * (longest // 80) + 1, 201) if longest >= _SMOOTH_FROM else 1


def _chained(
    metrics: Metrics, keys: Sequence[str]
) -> tuple[dict[str, Series], list[tuple[float, str]]]:
    """Curves of `keys` with the stages that have one of them put one after the other.

    Returns:
        Series by key, with a gap between stages, and (first update, name) of every stage.
    """
    points: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {key: [] for key in keys}
    marks: list[tuple[float, str]] = []
    end = 0.0
    for stage in metrics.stages:
        curves = {key: metrics.curve(stage, key) for key in keys}
        curves = {key: curve for key, curve in curves.items() if len(curve[0])}
        if not curves:
            continue
        # Steps count from the stage's beginning; a file whose steps go on is left as it is.
        first = min(x[0] for x, _ in curves.values())
        offset = end if first <= end else 0.0
        marks.append((first + offset, stage_name(stage)))
        for key, (x, y) in curves.items():
            gap = (np.array([x[0] + offset]), np.array([np.nan]))
            points[key] += [gap, (x + offset, y)]
        end = max(x[-1] + offset for x, _ in curves.values())
    joined = {
        key: Series(key, *(np.concatenate(part) for part in zip(*pieces, strict=True)))
        for key, pieces in points.items()
        if pieces
    }
    return joined, marks if len(marks) > 1 else []


def _overviews(metrics: Metrics) -> list[Chart]:
    """The charts that show all stages beside each other, as far as the metrics are there."""
    draw = functools.partial(_overview, metrics)
    weight = {"feature_weight": "weight of the feature term"}
    charts = [draw("Balance of the two terms, λ(t)", weight, "λ", smooth=False)]
    parts = _parts(metrics)
    title = f"Gradient norms of {_listed(list(parts.values()))}"
    charts.append(draw(title, parts, "norm", log_y=True))
    charts.append(draw("Gradient norm, all variables", {"grad_norm": "all"}, "norm", log_y=True))
    title, names = "Spread of the features (collapse shows as 0)", {"feature_std": "deviation"}
    charts.append(draw(title, names, "standard deviation", from_zero=True))
    for who, key, same in (
        ("joint classifier tells", "classifier_information", "answer"),
        ("codes tell", "code_information", "code"),
    ):
        title = f"What the {who} apart (0: one {same} for every image)"
        charts.append(draw(title, {key: "information on the image"}, "nats", from_zero=True))
    title, names = "Binary weights that changed their sign", {"flipped_signs": "share per update"}
    charts.append(draw(title, names, "share", from_zero=True))
    names = {"learning_rate": "rate"}
    charts.append(draw("Learning rate", names, "rate", from_zero=True, smooth=False))
    return [chart for chart in charts if chart is not None]


def _overview(
    metrics: Metrics, title: str, names: dict[str, str], y_label: str, **options: Any
) -> Chart | None:
    """A chart of the metrics in `names` (key: name in the legend); None if the file has none."""
    joined, marks = _chained(metrics, list(names))
    series = [Series(names[key], s.x, s.y) for key, s in joined.items()]
    return _draw(title, series, y_label=y_label, marks=marks, **options) if series else None


def _parts(metrics: Metrics) -> dict[str, str]:
    """Keys and names of the gradient norms of parts: classifier, extractor and others."""
    keys = sorted({key for stage in metrics.stages for key in metrics.keys(stage)})
    return {key: key.removeprefix(_PART).replace("_", " ") for key in keys if key.startswith(_PART)}


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))
