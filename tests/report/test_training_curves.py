"""Metrics files: what is read, what is skipped, and which charts come of it."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from burn_tf.report.charts import Chart
from burn_tf.report.training_curves import (
    overlaid_curves,
    read_metrics,
    stage_name,
    training_curves,
)

_SVG = "{http://www.w3.org/2000/svg}"


def _file(path: Path, rows: list[dict[str, Any]], tail: str = "") -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + tail, encoding="utf-8")
    return path


def _run(stage: str, steps: range, **values: Any) -> list[dict[str, Any]]:
    return [{"stage": stage, "step": s, "time": 0.1 * s, **values} for s in steps]


def _titles(charts: list[Chart]) -> list[str]:
    return [chart.title for chart in charts]


def _legend(chart: Chart) -> list[str]:
    group = ElementTree.fromstring(chart.svg).find(f"{_SVG}g")
    assert group is not None
    return [str(text.text) for text in group.iter(f"{_SVG}text")]


def _said(chart: Chart) -> str:
    return str(ElementTree.fromstring(chart.svg).findtext(f"{_SVG}desc"))


def test_lines_are_read_per_stage(tmp_path: Path):
    rows = _run("teacher", range(3), loss=1.0) + _run("stage1", range(2), kl=2.0)
    metrics = read_metrics(_file(tmp_path / "m", rows))
    assert list(metrics.stages) == ["teacher", "stage1"] and metrics.skipped == 0
    steps, values = metrics.curve("stage1", "kl")
    assert steps.tolist() == [0.0, 1.0] and values.tolist() == [2.0, 2.0]
    assert metrics.keys("teacher") == ["step", "time", "loss"]


@pytest.mark.parametrize(
    "tail",
    ['{"stage": "stage1", "st', "[1, 2]\n", '{"loss": 1.0}\n', '{"step": "7"}\n', '{"step": NaN}',
     "\x00\x00\x00", '{"step": 1}{"step": 2}\n'],
)  # fmt: skip
def test_damaged_lines_are_skipped_and_counted(tmp_path: Path, tail: str):
    path = _file(tmp_path / "m", _run("stage1", range(3), kl=1.0), tail)
    metrics = read_metrics(path)
    assert metrics.skipped == 1
    assert len(metrics.stages["stage1"]) == 3
    assert "1 damaged line" in training_curves(path)[0].note


def test_bytes_that_are_not_utf8_are_a_damaged_line(tmp_path: Path):
    path = _file(tmp_path / "m", _run("stage1", range(2), kl=1.0))
    path.write_bytes(path.read_bytes() + b'{"stage": "\xff\xfe')
    assert read_metrics(path).skipped == 1


def test_of_a_repeated_step_the_later_line_counts(tmp_path: Path):
    rows = _run("stage1", range(6), kl=1.0) + _run("stage1", range(4, 8), kl=5.0)
    steps, values = read_metrics(_file(tmp_path / "m", rows)).curve("stage1", "kl")
    assert steps.tolist() == list(range(8))
    assert values.tolist() == [1.0] * 4 + [5.0] * 4


def test_a_missing_file_is_an_os_error(tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        training_curves(tmp_path / "none.jsonl")


def test_an_empty_file_gives_no_chart(tmp_path: Path):
    assert training_curves(_file(tmp_path / "m", [])) == []


def test_every_kind_of_chart_appears(tmp_path: Path):
    step = {
        "kl": 2.0, "feature": 0.5, "loss": 1.0, "feature_weight": 0.8, "grad_norm": 1.0,
        "grad_norm_classifier": 1.0, "grad_norm_extractor": 0.5, "feature_std": 0.4,
        "flipped_signs": 0.01, "learning_rate": 1e-3,
    }  # fmt: skip
    rows = _run("teacher", range(9), centroid=1.0, loss=1.0) + _run("stage1", range(9), **step)
    charts = training_curves(_file(tmp_path / "m", rows + _run("stage2", range(9), **step)))
    assert _titles(charts) == [
        "Loss terms, teacher",
        "Loss terms, stage 1",
        "Loss terms, stage 2",
        "Balance of the two terms, λ(t)",
        "Gradient norms of classifier and extractor",
        "Gradient norm, all variables",
        "Spread of the features (collapse shows as 0)",
        "Binary weights that changed their sign",
        "Learning rate",
    ]
    assert _legend(charts[0]) == ["loss", "centroid"]
    assert _legend(charts[1]) == ["loss", "kl", "feature"]
    assert _legend(charts[4]) == ["classifier", "extractor"]


def test_stages_follow_one_another_with_a_gap_and_a_mark(tmp_path: Path):
    rows = [
        {"stage": stage, "step": s, "feature_weight": 0.9 - 0.02 * s}
        for stage in ("stage1", "stage2")
        for s in range(11)
    ]
    (chart,) = training_curves(_file(tmp_path / "m", rows))
    root = ElementTree.fromstring(chart.svg)
    marks = [e for e in root.iter(f"{_SVG}line") if e.get("class") == "mark"]
    assert [mark[0].text for mark in marks] == ["stage 1", "stage 2"]
    (path,) = root.iter(f"{_SVG}path")
    parts = str(path.get("d")).split("M")[1:]
    xs = [[float(p.split()[0]) for p in part.split("L")] for part in parts]
    assert [len(x) for x in xs] == [11, 11]
    # Stage 2 begins where stage 1 ended, on its mark, and is as long.
    assert xs[1][0] == xs[0][-1] == float(str(marks[1].get("x1")))
    assert xs[1][-1] - xs[1][0] == pytest.approx(xs[0][-1] - xs[0][0], abs=0.02)


def test_steps_that_go_on_over_stages_are_not_shifted(tmp_path: Path):
    rows = _run("stage1", range(10), feature_std=1.0) + _run("stage2", range(10, 21), feature_std=1)
    (chart,) = training_curves(_file(tmp_path / "m", rows))
    ticks = [t.text for t in ElementTree.fromstring(chart.svg).iter(f"{_SVG}text")
             if t.get("class") == "tick-x"]  # fmt: skip
    assert ticks[-1] == "20"


def test_signed_terms_leave_a_chart_that_needs_a_logarithm(tmp_path: Path):
    rows = _run("teacher", range(5), centroid=1.0, singular_value=200.0, brownian=-0.01)
    positive, signed = training_curves(_file(tmp_path / "m", rows))
    assert (_legend(positive), _legend(signed)) == (["centroid", "singular value"], ["brownian"])
    assert _titles([positive, signed]) == [
        "Loss terms, teacher",
        "Loss terms with a sign, teacher",
    ]
    assert "loss, logarithmic" in positive.svg and "logarithmic" not in signed.svg


def test_gradient_norms_of_other_parts_are_drawn(tmp_path: Path):
    rows = _run("teacher", range(3), grad_norm_heads=1.0, grad_norm_extractor=2.0)
    rows += _run("stage1", range(3), grad_norm_classifier=1.0)
    (chart,) = training_curves(_file(tmp_path / "m", rows))
    assert chart.title == "Gradient norms of classifier, extractor and heads"
    assert _legend(chart) == ["classifier", "extractor", "heads"]


def test_signs_that_never_flip_are_a_line_at_zero(tmp_path: Path):
    (chart,) = training_curves(_file(tmp_path / "m", _run("s", range(5), flipped_signs=0.0)))
    ticks = re.findall(r'class="tick-y">([^<]*)<', chart.svg)
    assert (ticks[0], ticks[-1]) == ("0", "1.0")


def test_terms_of_one_size_share_a_linear_chart(tmp_path: Path):
    (chart,) = training_curves(_file(tmp_path / "m", _run("s", range(5), a=1.0, b=-2.0)))
    assert _legend(chart) == ["a", "b"] and "logarithmic" not in chart.svg


def test_nan_and_null_and_text_values_do_not_matter(tmp_path: Path):
    rows = _run("stage1", range(4), kl=1.0, name="x", feature=None)
    rows[2]["kl"] = float("nan")
    rows[3]["kl"] = float("inf")
    (chart,) = training_curves(_file(tmp_path / "m", rows))
    assert _legend(chart) == ["kl"]
    assert _said(chart) == "kl: 2 values, first 1, last 1, 2 left out as not finite or not positive"


def test_a_metric_of_one_stage_does_not_stretch_the_others(tmp_path: Path):
    rows = _run("teacher", range(1000), loss=1.0) + _run("stage2", range(6), flipped_signs=0.1)
    chart = training_curves(_file(tmp_path / "m", rows))[-1]
    assert "5 left out" not in _said(chart) and "6 values" in _said(chart)
    ticks = re.findall(r'class="tick-x">([^<]*)<', chart.svg)
    assert ticks[-1] == "5"


def test_long_runs_are_smoothed_small_and_quick(tmp_path: Path):
    rng = np.random.default_rng(0)
    rows = [{"stage": "s", "step": i, "kl": float(v)} for i, v in enumerate(rng.random(20_000))]
    (chart,) = training_curves(_file(tmp_path / "m", rows))
    assert chart.note == "Pale: every update; bold: mean over 201 updates."
    assert len(chart.svg) < 20_000


def test_runs_are_laid_over_each_other(tmp_path: Path):
    two_stages = _run("stage1", range(4), loss=2.0, feature_std=0.5) + _run(
        "stage2", range(3), loss=1.0
    )
    metrics = {
        "long": read_metrics(_file(tmp_path / "long", two_stages)),
        "short": read_metrics(_file(tmp_path / "short", _run("stage1", range(2), loss=3.0))),
    }
    loss, spread = overlaid_curves(metrics)
    assert (loss.title, _legend(loss)) == ("Loss of each run", ["long", "short"])
    assert "long: 7 values, first 2, last 1" in _said(loss)
    assert spread.title.startswith("Spread of the features") and _legend(spread) == ["long"]
    assert overlaid_curves({}) == []


def test_stage_name():
    assert [stage_name(s) for s in ("stage1", "with_labels", "teacher")] == [
        "stage 1",
        "with labels",
        "teacher",
    ]
