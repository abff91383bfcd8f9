"""Intervals of a record are read as `evaluation.summarise` writes them, and drawn."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from burn_tf.evaluation.statistics import summarise
from burn_tf.report.runs import Record
from burn_tf.report.spread import Spread, few_shot_chart, shots


def made(provenance: dict[str, Any], model: str = "BURN") -> Record:
    return Record(Path("r.json"), "svm:voc07-fewshot", {"map11_k1": 40.0}, provenance, model)


def rows(*counts: int) -> list[dict[str, Any]]:
    """Two draws for each number of images per class, as `SVMProbe` records them."""
    return [
        {
            "k": k,
            "map11": summarise([10.0 + k, 12.0 + k]).to_json(),
            "map": summarise([50.0, 52.0]).to_json(),
        }
        for k in counts
    ]


def test_a_summary_of_draws_is_read() -> None:
    summary = summarise([60.0, 62.0, 64.0])
    spread = Spread.from_record(summary.to_json())
    assert spread == Spread(62.0, 2.0, summary.low, summary.high)
    assert spread is not None and spread.interval() == "57.03 to 66.97"


def test_one_draw_has_no_interval() -> None:
    spread = Spread.from_record(summarise([60.0]).to_json())
    assert spread is not None and spread.mean == 60.0
    assert math.isnan(spread.deviation) and spread.interval() == ""


def test_what_is_no_summary() -> None:
    assert all(Spread.from_record(entry) is None for entry in (None, 3.0, {}, {"mean": "high"}))
    assert shots(made({})) == [] == shots(made({"shots": [3, {"k": 1}, {"map11": {"mean": 1.0}}]}))
    assert shots(made({"shots": {"1": 2.0}})) == []


def test_shots_ascend_as_numbers() -> None:
    found = shots(made({"shots": rows(16, 2, 1)}))
    assert [(k, spread.mean) for k, spread in found] == [(1, 12.0), (2, 13.0), (16, 27.0)]
    assert shots(made({"shots": rows(1)}), "map")[0][1].mean == 51.0


def test_few_shots_are_a_chart_with_a_line_per_model() -> None:
    entries = rows(1, 2, 4)
    with_shots = made({"shots": entries})
    chart = few_shot_chart([with_shots, made({}), made({"shots": entries}, "BYOL")])
    assert chart is not None
    assert "BURN: 12 at 1 (" in chart.svg and "BYOL: 12 at 1 (" in chart.svg
    assert chart.svg.count('class="interval"') == 6
    assert few_shot_chart([made({})]) is None
