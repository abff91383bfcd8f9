"""One record as text, JSON and page."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np

from burn_tf.analysis import Analysis
from burn_tf.analysis.record import Panel
from burn_tf.report import Series

RECORD = Analysis(
    kind="toy",
    title="Toys & numbers",
    settings={"updates": 3},
    rows=[{"row": "a", "value": 0.25}, {"row": "b", "value": math.nan}],
    panels=[Panel("Loss", [Series("run", [1, 2, 3], np.array([1.5, np.inf, 0.5]))], log_y=True)],
    bars=["value"],
    notes=["One sentence."],
)


def test_json_holds_rows_and_curves_with_null_for_what_is_not_finite(tmp_path: Path) -> None:
    path = tmp_path / "toy.json"
    RECORD.write(json_file=path)
    found = json.loads(path.read_text(encoding="utf-8"))
    assert found["rows"] == [{"row": "a", "value": 0.25}, {"row": "b", "value": None}]
    assert found["curves"] == {"Loss": {"run": {"x": [1.0, 2.0, 3.0], "y": [1.5, None, 0.5]}}}
    assert found["settings"] == {"updates": 3} and found["notes"] == ["One sentence."]
    assert not list(tmp_path.glob("*.html"))


def test_the_page_stands_alone_with_table_bars_and_curve(tmp_path: Path) -> None:
    path = tmp_path / "toy.html"
    RECORD.write(html_file=path)
    page = path.read_text(encoding="utf-8")
    assert page.count("<svg") == 2 and "<script" not in page and "Toys &amp; numbers" in page
    assert "0.25" in page and "One sentence." in page
    assert not list(tmp_path.glob("*.json"))


def test_long_lines_are_smoothed_only_where_asked() -> None:
    line = [Series("run", np.arange(500), np.arange(500.0))]
    assert "opacity:.3" in Panel("Long", line, smooth=True).chart().svg
    assert "opacity:.3" not in Panel("Long", line).chart().svg
    short = [Series("run", np.arange(50), np.arange(50.0))]
    assert "opacity:.3" not in Panel("Short", short, smooth=True).chart().svg


def test_text_is_the_table() -> None:
    assert RECORD.text().splitlines()[0].split() == ["row", "value"]
