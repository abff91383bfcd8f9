"""The comparison as one HTML page: table, bars, curves of every method."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from burn_tf.compare.plan import Plan
from burn_tf.compare.table import Outcome, failure_lines, shown
from burn_tf.report import Chart, Series, bar_chart, line_chart, write_report
from burn_tf.report.training_curves import Metrics

_NOT_SUMMARY = ("rows", "notes", "title", "preset", "versions")
_SMOOTH_FROM = 120


def write_page(
    path: str | os.PathLike[str], plan: Plan, table: dict[str, Any], outcomes: Sequence[Outcome]
) -> None:
    """Write the page, whole or not at all; it needs no network and no script."""
    facts = {name: value for name, value in table.items() if name not in _NOT_SUMMARY}
    facts["versions"] = ", ".join(f"{name} {value}" for name, value in table["versions"].items())
    write_report(
        path,
        title=table["title"],
        summary=facts,
        table=shown(table),
        curves=_curves(outcomes, table),
        scatters=_bars(table),
        notes=[*failure_lines(table), *table["notes"]],
    )


def _bars(table: dict[str, Any]) -> list[Chart]:
    names = [row["title"] for row in table["rows"]]
    charts = []
    for probe in table["probes"]:
        means = [row["probes"][probe]["mean"] for row in table["rows"]]
        title = f"Top-1 accuracy on the test images, {probe}"
        charts.append(bar_chart(title, names, {probe: means}, unit=" %"))
    return charts


def _curves(outcomes: Sequence[Outcome], table: dict[str, Any]) -> list[Chart]:
    """The spread of the features, then the loss, a chart per row with a line per seed."""
    titles = {row["row"]: row["title"] for row in table["rows"]}
    groups: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        if outcome.metrics is not None:
            groups.setdefault(outcome.run.row, []).append(outcome)
    first = [(titles[name], group[0]) for name, group in groups.items()]
    charts = [_chart("Spread of the features (collapse shows as 0)", first, "feature_std")]
    for name, group in groups.items():
        lines = [(f"seed {outcome.run.seed}", outcome) for outcome in group]
        charts.append(_chart(f"Loss, {titles[name]}", lines, "loss"))
        charts.append(_chart(f"Spread of the features, {titles[name]}", lines, "feature_std"))
    return charts if first else []


def _chart(title: str, lines: Sequence[tuple[str, Outcome]], key: str) -> Chart:
    series = [
        Series(name, *joined(outcome.metrics, key))
        for name, outcome in lines
        if outcome.metrics is not None
    ]
    longest = max((len(line.y) for line in series), default=0)
    window = 2 * (longest // 80) + 1 if longest >= _SMOOTH_FROM else 1
    return line_chart(
        title,
        series,
        x_label="update",
        y_label=key.replace("_", " "),
        from_zero=key == "feature_std",
        smooth=window,
    )


def joined(metrics: Metrics, key: str) -> tuple[np.ndarray, np.ndarray]:
    """A curve over all stages, one behind the other with a gap between; steps and values."""
    steps, values, end = [np.empty(0)], [np.empty(0)], 0.0
    for stage in metrics.stages:
        x, y = metrics.curve(stage, key)
        if not len(x):
            continue
        steps += [np.array([end]), x + end]
        values += [np.array([np.nan]), y]
        end += x[-1]
    return np.concatenate(steps), np.concatenate(values)
