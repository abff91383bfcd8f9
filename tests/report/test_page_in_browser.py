"""The page in headless Chromium at a phone's width: it renders and nothing sticks out."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from burn_tf.report import bar_chart, embedding_scatter, training_curves, write_report
from tests.report import browser

pytestmark = browser.needs_chromium


def _metrics(path: Path) -> Path:
    lines = [
        {"stage": stage, "step": step, "kl": 3.0 * math.exp(-step / 60), "feature": 0.4,
         "loss": 1.0, "feature_weight": 0.9 - step / 1000, "grad_norm_classifier": 1.0 + step % 7,
         "grad_norm_extractor": 0.1, "feature_std": 0.5, "flipped_signs": 0.001}
        for stage in ("stage1", "stage2")
        for step in range(200)
    ]  # fmt: skip
    path.write_text("\n".join(json.dumps(line) for line in lines), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("browser")
    rng = np.random.default_rng(0)
    names = ["raw pixels", "untrained binary backbone with a long name", "BURN"]
    write_report(
        folder / "report.html",
        title="BURN_demo_with_one_very_long_word_" * 3,
        summary={"images": 1797, "command": "burn-tf demo --workdir " + "x" * 150},
        table=[
            {"model": n, "linear top-1 %": 95.1, "5-NN top-1 %": 96.2, "kB": 1.5} for n in names
        ],
        curves=training_curves(_metrics(folder / "metrics.jsonl")),
        scatters=[
            bar_chart("Accuracy", names, {"linear": [94.0, 81.0, 96.0]}, unit=" %"),
            embedding_scatter(rng.random((900, 16)), rng.integers(0, 10, 900)),
        ],
        notes=["A note."],
        gallery=[("view", rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))],
    )
    return folder / "report.html"


def test_it_renders_at_phone_width(page: Path):
    shot = page.parent / "phone.png"
    browser.chromium(
        page.parent, f"--window-size={browser.PHONE},1400", f"--screenshot={shot}", page.as_uri()
    )
    pixels = np.asarray(Image.open(shot).convert("RGB")).astype(int)
    assert pixels.shape[1] == browser.PHONE
    # Both bars' blue and the title's ink are on the first screens; an empty page has neither.
    for colour in ((0x35, 0x66, 0xD6), (0x1D, 0x24, 0x30)):
        assert (np.abs(pixels - colour).max(axis=2) < 8).sum() > 400
    # The page's margin stays empty on both sides: nothing sticks out.
    for column in (2, browser.PHONE - 3):
        assert (np.abs(pixels[:, column] - (0xF4, 0xF6, 0xF9)).max(axis=1) <= 2).all()


def test_boxes_stay_inside_their_charts(page: Path):
    """A script that only this test adds measures every text as the browser laid it out."""
    measured = browser.measure(page)
    assert measured["bad"] == []
    assert measured["texts"] > 80
    assert measured["wide"] <= measured["inner"] == browser.PHONE


def test_it_is_dark_where_the_reader_wants_dark(page: Path):
    shot = page.parent / "dark.png"
    browser.chromium(page.parent, "--force-dark-mode", f"--window-size={browser.PHONE},700",
              f"--screenshot={shot}", page.as_uri())  # fmt: skip
    pixels = np.asarray(Image.open(shot).convert("L"))
    assert np.median(pixels) < 60 and pixels.max() > 200
