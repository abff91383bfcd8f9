"""The papers' figures: those of the design notes, none twice, each with its source."""

from __future__ import annotations

import pytest

from burn_tf.compare.presets import PRESETS
from burn_tf.report.reported import MARK, REPORTED, reported_rows


@pytest.mark.parametrize(
    ("protocol", "metrics"),
    [
        ("semi:1pct", {"top1": 39.75, "top5": 67.13}),
        ("semi:10pct", {"top1": 49.96, "top5": 75.52}),
        ("svm:voc07", {"map11": 77.49}),
        ("svm:voc07-fewshot", {"map11": 77.49}),
        ("detect:voc", {"ap": 41.00, "ap50": 70.91, "ap75": 41.45}),
        ("transfer:cifar10", {"top1": 84.60}),
        ("transfer:cifar100", {"top1": 61.99}),
        ("transfer:cub200", {"top1": 49.62}),
        ("transfer:birdsnap", {"top1": 34.48}),
        ("transfer:places205", {"top1": 47.22}),
    ],
)
def test_a_protocol_has_its_row(protocol: str, metrics: dict[str, float]) -> None:
    (row,) = reported_rows(protocol)
    assert dict(row.metrics) == metrics and row.method == "BURN"
    assert row.mark.startswith(f"{MARK}: BURN, Tables 1 to 4")


@pytest.mark.parametrize("protocol", ["linear:burn", "linear:fast", "linear:msbreg"])
def test_every_linear_probe_has_the_linear_rows(protocol: str) -> None:
    found = {row.method: row.metrics["top1"] for row in reported_rows(protocol)}
    assert found["BURN"] == max(v for k, v in found.items() if "Supervised" not in k) == 62.29
    assert len(found) == 6


@pytest.mark.parametrize("protocol", ["knn:5", "embedding", "segment:coco", "transfer:inat18", ""])
def test_other_protocols_have_none(protocol: str) -> None:
    assert reported_rows(protocol) == ()


@pytest.mark.parametrize("number", [5, 6, 7])
def test_the_ablations_are_those_of_the_comparison(number: int) -> None:
    (rows,) = (rows for title, rows in REPORTED.items() if f"Table {number}:" in title)
    preset = [variant.reported for variant in PRESETS[f"burn_table{number}"].variants]
    assert [row.metrics["top1"] for row in rows] == preset
    assert {row.source for row in rows} == {f"BURN, Table {number}"}


def test_figures_are_percent() -> None:
    rows = [row for rows in REPORTED.values() for row in rows]
    assert all(0.0 < value < 100.0 for row in rows for value in row.metrics.values())
