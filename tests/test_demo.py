"""The whole demo in small: files, numbers in the right places, with and without labels."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from burn_tf import demo as demo_module
from burn_tf.cli.main import main
from burn_tf.recipes import get_recipe, override

SMALL = [
    "--set=backbone.name=reactnet_tiny",
    "--set=backbone.width=1",
    "--set=method.num_outputs=16",
    "--set=method.hidden_dim=16",
    "--set=max_steps=6",
]
FILES = {"backbone.keras", "backbone.tflite", "metrics.jsonl", "report.html", "summary.json"}


@pytest.fixture
def small_teacher(monkeypatch: pytest.MonkeyPatch) -> None:
    import burn_tf.training.pretraining as pretraining

    monkeypatch.setattr(
        pretraining,
        "get_recipe",
        lambda name: override(
            get_recipe(name),
            ["backbone.width=0.0625", "max_steps=4", "method.hidden_dim=8", "batch_size=8"],
        ),
    )


@pytest.mark.slow
def test_digits(tmp_path: Path, small_teacher: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", f"--workdir={tmp_path}", *SMALL]) == 0
    assert {p.name for p in tmp_path.iterdir()} >= FILES
    summary = json.loads((tmp_path / "summary.json").read_text())
    names = [row["features"] for row in summary["table"]]
    assert len(names) == 5 and names[0] == "raw pixels"
    assert summary["export"]["top1_agreement"] >= 0.99
    assert (tmp_path / "backbone.tflite").stat().st_size == summary["export"]["bytes"]
    shown = capsys.readouterr().out
    for row in summary["table"]:
        assert row["features"] in shown and f"{row['5-NN top-1 %']:.2f}".rstrip("0") in shown
    page = (tmp_path / "report.html").read_text()
    assert "lambda" in page.lower() or "λ" in page
    assert "http://" not in page.replace("http://www.w3.org", "")


@pytest.mark.slow
def test_unlabelled_folder(
    tmp_path: Path, small_teacher: None, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(40):
        size = (40 + i, 36, 3)
        Image.fromarray(rng.integers(0, 255, size, np.uint8)).save(folder / f"{i}.png")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    out = tmp_path / "out"
    assert main(["demo", f"--data={folder}", f"--workdir={out}", *SMALL]) == 0
    summary = json.loads((out / "summary.json").read_text())
    assert summary["table"] == []
    assert summary["skipped_images"] == 1
    assert "no labels" in capsys.readouterr().out
    assert {p.name for p in out.iterdir()} >= FILES


def test_batch_fits_a_small_collection() -> None:
    class Few:
        num_images = 30

    recipe = get_recipe("burn_pictures")
    assert demo_module._fitted(recipe, Few()).batch_size == 7
    Few.num_images = 10_000
    assert demo_module._fitted(recipe, Few()) is recipe


def test_a_batch_that_was_asked_for_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = demo_module.Demo("synthetic:30", tmp_path, settings=["batch_size=12"])
    assert asked.recipe.batch_size == 12
    assert capsys.readouterr().err == ""
    assert demo_module.Demo("synthetic:30", tmp_path).recipe.batch_size == 6
    assert "batch size 6 in place of 64: there are 24 images" in capsys.readouterr().err
