"""A page of runs holds each of them, says what is missing, and is whole or absent."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from burn_tf._checks import UserError
from burn_tf.report.page import Section
from burn_tf.report.pictures import Box
from burn_tf.report.run_report import (
    detection_record,
    detection_sections,
    write_run_report,
)
from burn_tf.report.runs import Record, Runs, read_runs
from tests.report.made_runs import comparison_table, record, training, write

LAST = ["How the figures were made", "What the authors report"]


def headings(sections: list[Section]) -> list[str]:
    return [section.heading for section in sections]


def detected(folder: Path, *entries: Any) -> Record:
    facts = {"detections": list(entries)}
    return Record(folder / "r.json", "detect:voc", {"ap": 40.0}, facts, "tiny")


def test_every_run_has_its_place(tmp_path: Path) -> None:
    write(tmp_path / "compared" / "table.json", comparison_table())
    training(tmp_path / "compared" / "burn-1")
    runs = read_runs(
        [
            write(tmp_path / "r.json", [record("knn:5", top1=90.0), record("semi:1pct", top1=5.0)]),
            tmp_path / "compared",
            training(tmp_path / "one"),
            training(tmp_path / "two"),
        ]
    )
    extra = Section("Neighbours", notes=["Here."])
    sections = write_run_report(tmp_path / "page.html", runs, extra=[extra])
    assert headings(sections) == [
        "Nearest neighbours",
        "Fine-tuning on few labels",
        "Methods side by side",
        "Neighbours",
        "Trainings side by side",
        "Training of one",
        "Training of two",
        *LAST,
    ]
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.count("<h1>tiny and 3 more</h1>") == 1
    assert "one: 5 values, first 2, last 1.2" in page and "two: 5 values" in page
    assert "BURN, seed 1: 5 values" in page and "Two seeds." in page
    # The whole record, of which nothing may be read as a table.
    assert page.count("ab" * 32) == 2 and "settings: rates" in page and "0.1, 0.01" in page
    assert page.count('<tr class="quoted">') == 1 + 15 + 4 + 3 + 3


@pytest.mark.parametrize(
    ("kinds", "title"),
    [
        (["record"], "tiny"),
        (["comparison"], "Methods side by side"),
        (["training"], "pretraining run"),
        (["training", "comparison"], "Methods side by side and 1 more"),
    ],
)
def test_one_run_gives_the_page_its_title(tmp_path: Path, kinds: list[str], title: str) -> None:
    made = {
        "record": lambda: write(tmp_path / "r.json", record("knn:5", top1=1.0)),
        "comparison": lambda: write(tmp_path / "table.json", comparison_table()),
        "training": lambda: training(tmp_path / "run"),
    }
    runs = read_runs([made[kind]() for kind in kinds])
    write_run_report(tmp_path / "page.html", runs)
    assert f"<title>{title}</title>" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_a_page_without_runs_is_what_the_authors_report(tmp_path: Path) -> None:
    sections = write_run_report(tmp_path / "page.html", Runs(), title="Papers")
    assert headings(sections) == LAST
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "62.29" in page and LAST[0] not in page


def test_the_words_for_a_comparison_can_be_given(tmp_path: Path) -> None:
    runs = read_runs([write(tmp_path / "table.json", comparison_table())])
    plain = write_run_report(tmp_path / "a.html", runs)[0]
    assert plain.tables[0].rows == [
        {"method": "BURN", "knn:5 %": 90.0},
        {"method": "BYOL", "knn:5 %": None},
    ]
    told = write_run_report(
        tmp_path / "b.html", runs, describe=lambda table: ([{"n": len(table["rows"])}], ["So."])
    )[0]
    assert told.tables[0].rows == [{"n": 2}] and told.notes == ["So."]


def test_detections_are_drawn_into_their_pictures(tmp_path: Path) -> None:
    pixels = np.zeros((40, 60, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    boxes = [Box(5, 5, 30, 30, "cat", 0.9), Box(4, 4, 31, 31, "cat", truth=True)]
    entries = [
        detection_record("a.png", boxes),
        detection_record(tmp_path / "a.png", [], "nothing here"),
    ]
    (section,) = detection_sections([detected(tmp_path, *entries)])
    assert section.heading == "Detections of tiny, detect:voc"
    captions = [picture.caption for picture in section.pictures]
    assert captions == ["a.png: 1 detection", "nothing here: 0 detections"]
    assert section.pictures[0].pixels.any() and not section.pictures[1].pixels.any()


def test_a_picture_that_is_gone_is_said(tmp_path: Path) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"no picture")
    entries = [detection_record("gone.jpg", []), detection_record("bad.jpg", [])]
    (section,) = detection_sections([detected(tmp_path, *entries)])
    assert len(section.pictures) == 0
    assert [note.split(":")[0] for note in section.notes] == [
        "The picture gone.jpg cannot be shown",
        "The picture bad.jpg cannot be shown",
    ]


def test_a_page_shows_a_dozen_pictures_and_says_of_how_many(tmp_path: Path) -> None:
    Image.new("L", (8, 8)).save(tmp_path / "a.png")
    entries = [detection_record("a.png", [])] * 30
    (section,) = detection_sections([detected(tmp_path, *entries)])
    assert len(section.pictures) == 12 and section.notes == ["12 of 30 pictures."]


@pytest.mark.parametrize(
    "damage", [{"rows": [{}]}, {"probes": 3}, {"probes": ["other"]}, {"rows": [{"probes": 1}]}]
)
def test_a_damaged_comparison_is_refused(tmp_path: Path, damage: dict[str, Any]) -> None:
    runs = read_runs([write(tmp_path / "table.json", comparison_table())])
    broken = dataclasses.replace(runs.comparisons[0], table={**runs.comparisons[0].table, **damage})
    with pytest.raises(UserError, match=r"a table as .* writes it: .*'table.json', a damaged one"):
        write_run_report(tmp_path / "page.html", Runs(comparisons=[broken]))
    assert not (tmp_path / "page.html").exists()


@pytest.mark.parametrize(
    "entry",
    [
        "a.png",
        {"image": "a.png"},
        {"boxes": []},
        {"image": "a.png", "boxes": 3},
        {"image": 3, "boxes": []},
        {"image": "a.png", "boxes": [3]},
    ],
)
def test_detections_of_another_form_are_refused(tmp_path: Path, entry: Any) -> None:
    with pytest.raises(UserError, match=r"`detections` of .*r\.json' must be a list of records"):
        write_run_report(tmp_path / "page.html", Runs([detected(tmp_path, entry)]))
    assert not (tmp_path / "page.html").exists()


def test_equal_runs_give_equal_pages(tmp_path: Path) -> None:
    runs = read_runs([write(tmp_path / "r.json", record("knn:5", top1=90.0))])
    for name in ("a", "b"):
        write_run_report(tmp_path / name, runs)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
