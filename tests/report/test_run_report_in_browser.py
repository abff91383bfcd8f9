"""A page of runs in headless Chromium at a phone's width: complete, and nothing sticks out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from burn_tf.report.neighbours import neighbour_section
from burn_tf.report.pictures import Box
from burn_tf.report.run_report import detection_record, write_run_report
from burn_tf.report.runs import read_runs
from tests.report import browser
from tests.report.made_runs import comparison_table, record, training, write

pytestmark = browser.needs_chromium

LONG = "reactnet_a_half_width_with_a_very_long_name_that_nobody_would_type_twice"


def few_shots(backbone: str, offset: float) -> dict[str, Any]:
    """A record of `svm:voc07-fewshot` on all eight numbers of images."""
    made = record("svm:voc07-fewshot", backbone=backbone, map11_k1=20.0)
    made["provenance"]["shots"] = [
        {
            "k": k,
            "map11": {"mean": 20.0 + offset + i, "deviation": 2.0, "low": 18.0 + i, "high": 27 + i},
        }
        for i, k in enumerate((1, 2, 4, 8, 16, 32, 64, 96))
    ]
    return made


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("browser")
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (300, 400, 3), dtype=np.uint8)).save(folder / "a.png")
    boxes = [Box(20, 30, 200, 250, "dog", 0.9), Box(10, 20, 210, 260, "dog", truth=True)]
    detected = record("detect:voc", ap=41.0, ap50=70.0)
    detected["provenance"]["detections"] = [detection_record("a.png", boxes)]
    write(folder / "compared" / "table.json", comparison_table())
    training(folder / "compared" / "burn-1")
    digits = rng.integers(0, 256, (6, 8, 8, 3), dtype=np.uint8)
    neighbours = neighbour_section(
        np.array([[0, 1, 2, 3, 4]] * 2), np.full((2, 5), 0.5), queries=digits[:2], bank=digits[1:],
        query_labels=np.array([0, 1]), bank_labels=np.array([0, 0, 1, 1, 0]),
    )  # fmt: skip
    runs = read_runs(
        [
            write(folder / "linear.json", record("linear:fast", backbone=LONG, top1=95.0)),
            write(folder / "other.json", record("linear:fast", top1=91.0, top5=99.0)),
            write(folder / "few.json", few_shots("tiny", 0.0)),
            write(folder / "more.json", few_shots(LONG, 3.0)),
            write(folder / "detected.json", detected),
            folder / "compared",
            training(folder / "run", steps=50),
        ]
    )
    write_run_report(folder / "report.html", runs, extra=[neighbours])
    return folder / "report.html"


@pytest.fixture(scope="module")
def measured(page: Path) -> dict[str, Any]:
    return browser.measure(page)


def test_nothing_sticks_out_or_overlaps(measured: dict[str, Any]) -> None:
    assert measured["bad"] == []
    assert measured["texts"] > 60
    assert measured["wide"] <= measured["inner"] == browser.PHONE


def test_every_picture_is_shown_in_a_size_to_look_at(measured: dict[str, Any]) -> None:
    assert measured["images"] == 2 * 6 + 1 and measured["broken"] == 0
    assert min(measured["sizes"]) >= 60 and max(measured["sizes"]) > 300


def test_names_and_first_figures_are_in_view(measured: dict[str, Any]) -> None:
    # Beyond them a table scrolls inside its card.
    assert len(measured["cells"]) > 15 and min(measured["cells"]) >= 2


def test_the_page_is_drawn(page: Path) -> None:
    shot = page.parent / "phone.png"
    browser.chromium(
        page.parent,
        f"--window-size={browser.PHONE},5000",
        f"--screenshot={shot}",
        page.as_uri(),
    )
    pixels = np.asarray(Image.open(shot).convert("RGB")).astype(int)
    assert pixels.shape[1] == browser.PHONE
    # Bars and lines in two colours, ink, and the frame around a neighbour of another class.
    for colour in ((0x35, 0x66, 0xD6), (0xD9, 0x60, 0x1A), (0x1D, 0x24, 0x30)):
        assert (np.abs(pixels - colour).max(axis=2) < 8).sum() > 300
    for column in (2, browser.PHONE - 3):
        assert (np.abs(pixels[:, column] - (0xF4, 0xF6, 0xF9)).max(axis=1) <= 2).all()
