"""`python -m zoo.publish`: what a run becomes, and refusals that leave nothing behind."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import zoo
from burn_tf import backbones
from burn_tf.recipes import get_recipe, override
from burn_tf.training.building import build_backbone
from tests.zoo.tiny import shaken
from zoo import model_cards, publish
from zoo.manifest import read_manifest

SETTINGS = ["backbone.name=reactnet_tiny", "backbone.width=1", "teacher.weights=/far/away/t.keras"]
DESCRIBED = ["--summary", "A tiny one.", "--data", "digits, no labels", "--teacher", "another one"]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The work directory of a finished run of `burn_digits` with a tiny backbone."""
    recipe = override(get_recipe("burn_digits"), SETTINGS)
    folder = tmp_path / "run"
    folder.mkdir()
    backbone = shaken(build_backbone(recipe.backbone, recipe.views.image_size, "both"))
    backbone.save(folder / "backbone.keras")
    (folder / "run.json").write_text(json.dumps({"recipe": recipe.to_dict(), "data": "0"}))
    rows = [{"stage": "stage1", "step": step, "loss": 1 / step} for step in (1, 2, 3)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def result_file(path: Path, value: float) -> Path:
    record = {
        "protocol": "knn:5",
        "metrics": {"top1": value, "top5": 99.0},
        "provenance": {"date": "2026-01-02T03:04:05+00:00", "data": {"train": {"name": "digits"}}},
    }
    path.write_text(json.dumps(record))
    return path


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_a_run_becomes_an_entry_that_loads(
    empty_zoo: Path, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert publish.main(["--name", "small", "--run", str(run), *DESCRIBED]) == 0
    assert capsys.readouterr().out.startswith("small: ")
    entry = read_manifest()["small"]
    assert entry.recipe == "burn_digits" and entry.method == "BURN"
    # Where the teacher's file lay is nobody's business.
    assert set(entry.settings) == {
        "backbone.name=reactnet_tiny",
        "backbone.width=1.0",
        "teacher.weights=t.keras",
    }
    images = np.random.default_rng(0).normal(size=(3, 16, 16, 3)).astype(np.float32)
    trained = tf.keras.models.load_model(run / "backbone.keras")
    np.testing.assert_allclose(
        zoo.load("small", pooling="avg")(images), trained(images), rtol=1e-4, atol=1e-5
    )
    card = zoo.card("small")
    assert "A tiny one." in card and "teacher.weights=t.keras" in card and "/far" not in card
    assert "small_1.svg" in card and (empty_zoo / "cards" / "small_1.svg").is_file()


def test_figures_are_added_and_replaced(empty_zoo: Path, run: Path, tmp_path: Path) -> None:
    publish.main(["--name", "small", "--run", str(run), *DESCRIBED])
    weights = (empty_zoo / "weights" / "small.safetensors").read_bytes()
    words = ["--command", "evaluate --protocol={protocol}", "--commit", "a" * 40]
    for value in (50.0, 60.126):
        result = result_file(tmp_path / "result.json", value)
        words_now = [*words, "--metrics", "top1", "--result", f"this model={result}"]
        assert publish.main(["--name", "small", *words_now]) == 0
    entry = read_manifest()["small"]
    (metric,) = entry.metrics
    assert (metric.subject, metric.metric, metric.value) == ("this model", "top1", 60.13)
    assert metric.measured is not None
    assert metric.measured.command == "evaluate --protocol=knn:5"
    assert metric.measured.date == "2026-01-02"
    assert (empty_zoo / "weights" / "small.safetensors").read_bytes() == weights
    assert "60.13" in zoo.card("small") and "50.00" not in zoo.card("small")
    # Prose that was written around the facts stays.
    path = model_cards.card_path("small")
    path.write_text(path.read_text() + "\nWritten by hand.\n")
    publish.main(["--name", "small", "--summary", "Another line."])
    assert "Written by hand." in zoo.card("small")
    # New weights make old figures false.
    publish.main(["--name", "small", "--run", str(run)])
    assert read_manifest()["small"].metrics == ()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--name", "small"], "`--run` is needed"),
        (["--name", "small", "--run", "nowhere"], "folder of a finished pretraining"),
        (["--name", "small", "--run", "RUN"], "--summary, --data, --teacher needed"),
        (["--name", "Bad Name", "--run", "RUN", *DESCRIBED], "Bad Name"),
        (["--name", "small", "--run", "RUN", *DESCRIBED, "--result", "x"], "SUBJECT=FILE"),
        (["--name", "small", "--run", "RUN", *DESCRIBED, "--result", "x=RESULT"], "`--command`"),
    ],
)
def test_refusals_write_nothing(
    empty_zoo: Path,
    run: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    message: str,
) -> None:
    result = result_file(tmp_path / "result.json", 1.0)
    given = [w.replace("RUN", str(run)).replace("RESULT", str(result)) for w in words]
    before = files(empty_zoo)
    assert publish.main(given) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert files(empty_zoo) == before


def test_a_backbone_that_is_not_binary_is_refused(
    empty_zoo: Path, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = backbones.ReActNetTiny(
        (16, 16, 3), include_top=False, pooling="avg", binarize="activations", stem_strides=1
    )
    model.save(run / "backbone.keras")
    before = files(empty_zoo)
    assert publish.main(["--name", "small", "--run", str(run), *DESCRIBED]) == 2
    error = capsys.readouterr().err
    assert "must have binary weights" in error and error.count("\n") == 1
    assert files(empty_zoo) == before
