"""Results stand beside the papers' rows, which nobody can take for ours."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from burn_tf.evaluation.statistics import summarise
from burn_tf.report.reported import MARK
from burn_tf.report.result_tables import OURS, metric_name, reported_section, result_sections
from burn_tf.report.runs import Record


def made(protocol: str, model: str = "tiny", data: str = "digits", **provenance: Any) -> Record:
    facts = {"data": {"test": {"name": data}}, **provenance}
    return Record(Path("r.json"), protocol, {"top1": 91.5}, facts, model)


def test_sections_come_in_the_order_of_the_tasks() -> None:
    protocols = ["made-up", "embedding", "transfer:cifar10", "knn:5", "linear:burn", "knn:20"]
    sections = result_sections([made(protocol) for protocol in protocols])
    assert [section.heading for section in sections] == [
        "Linear evaluation",
        "Nearest neighbours",
        "Transfer to other data",
        "Geometry of the features",
        "made-up",
    ]
    rows = sections[1].tables[0].rows
    assert [row["protocol"] for row in rows] == ["knn:5", "knn:20"]
    assert result_sections([]) == []


def test_the_papers_rows_stand_behind_ours_and_are_marked() -> None:
    (section,) = result_sections([made("semi:1pct"), made("semi:10pct")])
    (table,) = section.tables
    assert [row["model"] for row in table.rows] == ["tiny", "tiny", *["BURN (authors)"] * 2]
    assert [row["top-1 %"] for row in table.rows] == [91.5, 91.5, 39.75, 49.96]
    assert list(table.quoted) == [2, 3]
    for index, row in enumerate(table.rows):
        quoted = row["figures"].startswith(MARK)
        assert quoted == (index in table.quoted) and (quoted or row["figures"] == OURS)


def test_figures_stand_right_behind_the_name() -> None:
    (section,) = result_sections([made("semi:1pct")])
    for row in section.tables[0].rows:
        assert list(row) == ["model", "top-1 %", "top-5 %", "protocol", "data", "figures"]


def test_columns_have_an_order_of_their_own() -> None:
    # A record's JSON has its metrics by the alphabet.
    metrics = {"alignment": 1.0, "map": 2.0, "map11_k16": 3.0, "map11_k2": 4.0, "top1": 5.0}
    record = dataclasses.replace(made("svm:voc07-fewshot"), metrics=metrics)
    (section,) = result_sections([record])
    assert list(section.tables[0].rows[0]) == [
        "model", "top-1 %", "mAP %, 11 points", "mAP %, all points", "mAP %, k = 2",
        "mAP %, k = 16", "alignment", "protocol", "data", "figures",
    ]  # fmt: skip


def test_a_paper_s_row_stands_there_once() -> None:
    (section,) = result_sections([made("linear:burn"), made("linear:fast")])
    names = [row["model"] for row in section.tables[0].rows]
    assert names.count("BURN (authors)") == 1 and len(names) == 8


def test_models_are_bars_where_there_are_several() -> None:
    (alone,) = result_sections([made("knn:5")])
    assert alone.charts == []
    records = [made("knn:5"), made("knn:5", "other"), made("knn:20", "other")]
    (section,) = result_sections(records)
    (chart,) = section.charts
    assert chart.title == "Nearest neighbours: top-1 %"
    assert "tiny, digits, knn:20: n/a" in chart.svg
    assert "other, digits, knn:5: 91.5" in chart.svg


def test_a_grid_is_a_table_of_its_own() -> None:
    grid = [
        {"backbone_rate": 0.1, "finite": True, "metrics": {"top1": 40.0}},
        {"backbone_rate": 0.01, "finite": False, "metrics": {}},
    ]
    (section,) = result_sections([made("semi:1pct", grid=grid, best=[], detections=grid)])
    ((name, tables),) = section.folded.items()
    assert name == "tiny, semi:1pct: grid"
    assert not isinstance(tables, Mapping)
    (table,) = tables
    assert table.rows == [
        {"backbone rate": 0.1, "finite": True, "top-1 %": 40.0},
        {"backbone rate": 0.01, "finite": False},
    ]


def test_few_shots_are_a_chart_and_a_table() -> None:
    shots = [
        {"k": k, "map11": summarise([k, k + 2.0, k + 4.0]).to_json(), "map": None} for k in (1, 2)
    ]
    record = made("svm:voc07-fewshot", shots=shots)
    (section,) = result_sections([dataclasses.replace(record, metrics={"map11_k1": 3.0})])
    assert [chart.title for chart in section.charts] == ["Few images of each class"]
    assert section.tables[0].rows[0]["mAP %, k = 1"] == 3.0
    (tables,) = section.folded.values()
    assert not isinstance(tables, Mapping)
    assert tables[0].rows[0] == {
        "k": 1,
        "mAP %, 11 points": 3.0,
        "deviation of mAP %, 11 points": 2.0,
        "95 % interval of mAP %, 11 points": "-1.97 to 7.97",
        "mAP %, all points": None,
    }


def test_a_flag_is_yes_or_no() -> None:
    record = dataclasses.replace(made("embedding"), metrics={"collapsed": 1.0, "alignment": 1.0})
    (section,) = result_sections([record])
    row = section.tables[0].rows[0]
    assert row["collapsed"] is True and row["alignment"] is not True


def test_bars_compare_what_has_the_figure() -> None:
    full = [dataclasses.replace(made("svm:voc07", m), metrics={"map11": 50.0}) for m in "ab"]
    few = dataclasses.replace(made("svm:voc07-fewshot", "c"), metrics={"map11_k1": 3.0})
    (section,) = result_sections([*full, few])
    (chart,) = section.charts
    assert "a, digits, svm:voc07: 50" in chart.svg and "c, digits" not in chart.svg


def test_all_that_the_authors_report_is_marked() -> None:
    section = reported_section()
    assert len(section.folded) == 4
    for name, tables in section.folded.items():
        assert MARK in name and not isinstance(tables, Mapping)
        for table in tables:
            assert list(table.quoted) == list(range(len(table.rows)))
            assert all(row["figures"].startswith(MARK) for row in table.rows)


def test_metrics_have_names_for_people() -> None:
    assert metric_name("ap50") == "AP50 %"
    assert metric_name("effective_rank") == "effective rank"
    assert metric_name("map11_k96") == "mAP %, k = 96"
    assert metric_name("map11_kind") == "map11 kind"
