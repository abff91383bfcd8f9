"""The page: valid, self-contained, complete, whole or absent."""

from __future__ import annotations

import base64
import os
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from burn_tf.report import Series, line_chart, scatter_chart, write_report
from burn_tf.report.page import Picture, Section, Strip, Table, write_sections
from burn_tf.report.png import encode_png

_VOID = {"meta", "img", "br", "link"}


class _Page(HTMLParser):
    """Checks that tags are balanced and keeps what the tests ask for."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and data.strip():
            self.texts.append((self.open[-1], data.strip()))

    def all(self, tag: str) -> list[str]:
        return [text for name, text in self.texts if name == tag]


def _write(path: Path, **changes: Any) -> _Page:
    arguments: dict[str, Any] = {
        "title": "BURN on digits",
        "summary": {"images": 1797, "lce": {"binary_layers": 12}, "command": "burn-tf demo " * 3},
        "table": [
            {"model": "raw pixels", "top-1": 94.4},
            {"model": "BURN", "top-1": 96.39, "x": 1},
        ],
        "curves": [line_chart("Loss", [Series("kl", [0, 1], [2.0, 1.0])], note="a note")],
        "scatters": [scatter_chart("Embedding", np.eye(2), [0, 1])],
        "notes": ["Labels were not used."],
    }
    write_report(path, **(arguments | changes))
    page = _Page(path.read_text(encoding="utf-8"))
    assert page.open == []
    return page


def test_the_page_holds_everything(tmp_path: Path):
    page = _write(tmp_path / "report.html")
    assert page.all("h1") == page.all("title")[:1] == ["BURN on digits"]
    assert page.all("h2") == ["Results", "Training", "Notes"]
    assert page.all("h3") == ["Embedding", "Loss"]
    assert page.all("dt") == ["images", "lce: binary layers", "command"]
    assert page.all("dd")[:2] == ["1797", "12"]
    assert page.all("th") == ["model", "top-1", "x", "raw pixels", "BURN"]
    assert page.all("td") == ["94.40", "96.39", "1"]
    assert page.all("li") == ["Labels were not used."]
    assert "a note" in page.all("p")
    assert [tag for tag, _ in page.tags].count("svg") == 2


def test_numbers_stand_right_and_names_left(tmp_path: Path):
    page = _write(tmp_path / "report.html")
    cells = [attributes.get("class") for tag, attributes in page.tags if tag in ("th", "td")]
    assert cells == [None, "number", "number"] * 3


def test_the_page_needs_no_network_and_no_script(tmp_path: Path):
    page = _write(tmp_path / "report.html", gallery=[("view", np.zeros((2, 2), np.uint8))])
    names = {tag for tag, _ in page.tags}
    assert not names & {"script", "link", "iframe", "object", "base"}
    targets = [value for _, attributes in page.tags for name, value in attributes.items()
               if name in ("src", "href", "srcset", "action", "data")]  # fmt: skip
    assert targets and all(str(target).startswith("data:image/png;base64,") for target in targets)
    policies = [a["content"] for t, a in page.tags if a.get("http-equiv")]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'; img-src data:"]
    assert not any("url(" in style or "@import" in style for style in page.all("style"))


def test_the_page_is_made_for_phones(tmp_path: Path):
    page = _write(tmp_path / "report.html")
    views = [a.get("content") for t, a in page.tags if t == "meta" and a.get("name") == "viewport"]
    assert views == ["width=device-width, initial-scale=1"]
    regions = [a for t, a in page.tags if a.get("role") == "region"]
    assert regions[0]["tabindex"] == "0" and "scroll" in str(regions[0]["class"])
    assert all("viewbox" in a and "width" not in a for t, a in page.tags if t == "svg")


def test_pictures_are_inside_the_page(tmp_path: Path):
    pixels = np.random.default_rng(0).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    page = _write(tmp_path / "report.html", gallery=[("view 1", pixels)])
    (image,) = [attributes for tag, attributes in page.tags if tag == "img"]
    assert image["alt"] == "view 1"
    assert base64.b64decode(str(image["src"]).partition(",")[2]) == encode_png(pixels)


def test_texts_are_escaped_everywhere(tmp_path: Path):
    bad = "<img src=x onerror=alert(1)>&\"'\ud800"
    page = _write(
        tmp_path / "report.html",
        title=bad,
        summary={bad: bad, "long": bad * 3},
        table=[{bad: bad}],
        curves=[line_chart(bad, [Series(bad, [0, 1], [0, 1])], note=bad)],
        notes=[bad],
        gallery=[(bad, np.zeros((1, 1), np.uint8))],
    )
    assert [t for t, _ in page.tags].count("img") == 1
    assert page.all("h1") == page.all("li") == [bad.replace("\ud800", "\ufffd")]


def _sections(path: Path, *sections: Section) -> _Page:
    write_sections(path, title="Runs", summary={}, sections=sections)
    page = _Page(path.read_text(encoding="utf-8"))
    assert page.open == []
    return page


def test_a_section_has_its_parts_in_order(tmp_path: Path):
    pixels = np.zeros((2, 2), np.uint8)
    section = Section(
        "All <parts>",
        tables=[Table([{"a": 1}], "First"), Table([{"b": 2}])],
        charts=[line_chart("Loss", [Series("kl", [0, 1], [2.0, 1.0])])],
        strips=[Strip(Picture("query", pixels), [Picture("near", pixels, other=True)])],
        gallery=[Picture("small", pixels)],
        pictures=[Picture("large", np.zeros((80, 65, 3), np.uint8))],
        folded={"Facts <1>": {"x": {"y": 3}}, "Grid": [Table([{"rate": 0.1}])]},
        notes=["A note."],
    )
    page = _sections(tmp_path / "page.html", section)
    shown = ["All <parts>", "First", "a", "1", "b", "2", "Loss", "query", "near", "small",
             "large", "Facts <1>", "x: y", "3", "Grid", "rate", "0.1", "A note."]  # fmt: skip
    texts = [text for tag, text in page.texts if tag not in ("text", "title", "desc", "style")]
    assert texts == ["Runs", *shown]
    regions = [a["aria-label"] for _, a in page.tags if a.get("role") == "region"]
    assert regions == ["First", "All <parts>", "Grid"]


def test_a_section_without_content_is_left_out(tmp_path: Path):
    empty = Section("Empty", tables=[Table([])], gallery=[], notes=[])
    page = _sections(tmp_path / "page.html", empty, Section("Full", notes=["x"]))
    assert page.all("h2") == ["Full"]


def test_quoted_rows_and_strangers_are_drawn_apart(tmp_path: Path):
    pixels = np.zeros((2, 2), np.uint8)
    section = Section(
        "S",
        tables=[Table([{"a": 1}, {"a": 2}], quoted=[1])],
        strips=[Strip(Picture("q", pixels), [Picture("n", pixels), Picture("o", pixels, True)])],
    )
    page = _sections(tmp_path / "page.html", section)
    assert [a.get("class") for t, a in page.tags if t == "tr"] == [None, None, "quoted"]
    assert [a.get("class") for t, a in page.tags if t == "figure"] == [None, None, "other"]


def test_only_small_pictures_show_their_pixels(tmp_path: Path):
    pictures = [Picture("p", np.zeros((side, side, 3), np.uint8)) for side in (64, 65)]
    page = _sections(tmp_path / "page.html", Section("S", pictures=pictures))
    images = [attributes for tag, attributes in page.tags if tag == "img"]
    assert [image.get("class") for image in images] == ["pixels", None]
    kinds = [str(image["src"]).partition(";")[0] for image in images]
    assert kinds == ["data:image/png", "data:image/jpeg"]


def test_an_empty_report_is_a_page(tmp_path: Path):
    page = _write(tmp_path / "r.html", summary={}, table=[], curves=[], scatters=[], notes=[])
    assert page.all("h1") == ["BURN on digits"] and page.all("h2") == []


def test_nothing_is_left_behind_when_writing_fails(tmp_path: Path, monkeypatch: Any):
    target = tmp_path / "report.html"
    target.write_text("old", encoding="utf-8")

    def refuse(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="No space left"):
        _write(target)
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]
    assert target.read_text(encoding="utf-8") == "old"


def test_equal_calls_write_equal_files(tmp_path: Path):
    _write(tmp_path / "a.html")
    _write(tmp_path / "b.html")
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()
