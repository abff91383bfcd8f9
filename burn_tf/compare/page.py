"""The comparison as one HTML page: table, bars, curves of every method."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from burn_tf.compare.plan import Plan
from burn_tf.compare.table import Outcome, failure_lines, shown
from burn_tf.report import Chart, bar_chart, write_report
from burn_tf.report.training_curves import Metrics, overlaid_curves

_NOT_SUMMARY = ("rows", "notes", "title", "preset", "versions")


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
    """The spread of the features, a line per row; then both figures of each, a line per seed."""
    titles = {row["row"]: row["title"] for row in table["rows"]}
    groups: dict[str, dict[str, Metrics]] = {}
    for outcome in outcomes:
        if outcome.metrics is not None:
            seeds = groups.setdefault(titles[outcome.run.row], {})
            seeds[f"seed {outcome.run.seed}"] = outcome.metrics
    first = {title: next(iter(seeds.values())) for title, seeds in groups.items()}
    charts = overlaid_curves(first, ("feature_std",), "each row's first seed")
    for title, seeds in groups.items():
        charts += overlaid_curves(seeds, of=title)
    return charts
