"""`burn-tf analyse` from its words to page and JSON file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from burn_tf.cli import analyse as command
from burn_tf.cli import main as cli


def analyse(*words: str) -> int:
    return cli.main(["analyse", *words])


def test_table_page_and_file_say_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page, record = tmp_path / "page.html", tmp_path / "record.json"
    words = ["--updates=50", "--start=0.8", "--end=0.2", f"--html={page}", f"--json={record}"]
    assert analyse("feature_weight", *words) == 0
    found = json.loads(record.read_text(encoding="utf-8"))
    assert found["settings"] == {"updates": 50, "start": 0.8, "end": 0.2}
    assert found["rows"][0] == {
        "kind": "cosine", "start": 0.8, "quarter": pytest.approx(0.715, abs=0.01), "half": 0.5,
        "three quarters": pytest.approx(0.285, abs=0.01), "end": 0.2,
    }  # fmt: skip
    shown = capsys.readouterr().out
    assert shown.splitlines()[0].split()[0] == "kind" and "eq. 3" in shown
    text = page.read_text(encoding="utf-8")
    assert "<svg" in text and "cosine" in text and "<script" not in text


def test_the_simulation_takes_decays_and_seed(tmp_path: Path) -> None:
    record = tmp_path / "record.json"
    assert analyse("ema", "--decays=0.5,0.9", "--updates=20", "--seed=3", f"--json={record}") == 0
    found = json.loads(record.read_text(encoding="utf-8"))
    assert [row["decay"] for row in found["rows"]] == [0.5, 0.9]
    assert (found["settings"]["updates"], found["settings"]["seed"]) == (20, 3)


def test_models_are_measured_side_by_side(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = tmp_path / "record.json"
    models = "--models=raw_pixels,untrained:reactnet_tiny"
    words = [models, "--image_size=8", "--images=40", "--policy=supervised", f"--json={record}"]
    assert analyse("embedding", *words) == 0
    found = json.loads(record.read_text(encoding="utf-8"))
    assert [row["model"] for row in found["rows"]] == ["raw_pixels", "untrained:reactnet_tiny"]
    assert found["settings"]["images"] == 40 and found["settings"]["policy"] == "supervised"
    assert found["settings"]["split"] == "test"
    assert "uniformity" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("kind", "data", "name"),
    [
        ("gradients", "digits", "burn_digits"),
        ("gradients", "synthetic:20", "burn_pictures"),
        ("collapse", "digits", "msbreg_digits"),
        ("collapse", "synthetic:20", "msbreg_pictures"),
    ],
)
def test_recipes_are_chosen_by_the_data(
    kind: str, data: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from burn_tf import analysis

    calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    def record(*arguments: Any, **options: Any) -> analysis.Analysis:
        calls.append((arguments, options))
        return analysis.Analysis(kind, "none", {}, [{"row": 1}])

    monkeypatch.setattr(analysis, kind, record)
    assert analyse(kind, f"--data={data}", "--seed=4", "--set=batch_size=6", "--updates=7") == 0
    ((arguments, options),) = calls
    recipe = arguments[-1]
    assert (recipe.name, recipe.seed, recipe.batch_size) == (name, 4, 6)
    assert options["updates"] == 7
    splits = [source.split for source in arguments[:-1]]
    assert splits == (["train"] if kind == "gradients" else ["train", "test"])


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], "needs a KIND: feature_weight, ema"),
        (["gradient"], "Did you mean 'gradients'?"),
        (["ema", "--models=raw_pixels"], "`models` is not for the analysis 'ema'"),
        (["feature_weight", "--seed=1"], "which takes updates, start, end"),
        (["ema", "--decays=high"], "`decays` must be numbers"),
        (["ema", "--updates=0"], "--updates=0"),
        (["ema", "--html=no/such/page.html"], "`html` must lie in a folder that exists"),
        (["embedding"], "needs --models=NAME,NAME"),
        (["embedding", "--models=raw_pixels"], "say which with --image_size=PIXELS"),
        (["embedding", "--models=raw_pixel", "--image_size=8"], "Did you mean 'raw_pixels'?"),
        (["collapse", "--optimizer=adm"], "--optimizer=adm"),
        (["collapse", "--recipe=burn_digits"], "`recipe` must be one of MSBReg"),
        (["collapse", "--set=optimizer.learning_rate=1"], "give --optimizer. Received"),
        (["collapse", "--set=method.brownian_weight = 9"], "takes no method.brownian_weight for"),
        (["collapse", "--set=epochs=3"], "takes no epochs for the analysis 'collapse': give --upd"),
        (["gradients", "--set=method.feature_loss=l2"], "it sets all of them side by side"),
        (["gradients", "--set=seed=2"], "give --seed"),
        (["ema", "--decays=0.9,0.90"], "`decays` must not hold one twice"),
        (["embedding", "--models=raw_pixels,raw_pixels"], "`models` must not name one twice"),
        (["collapse", "--teacher_updates=3"], "`teacher_updates` is not for the analysis"),
        (["gradients", "--set=method.temperature=0"], "`temperature` must be a number"),
        (["gradients", "--set=epoch=3"], "Did you mean 'epochs'?"),
    ],
)
def test_mistakes(words: list[str], expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert analyse(*words) == 2
    shown = capsys.readouterr().err
    assert expected in shown and shown.count("\n") == 1


def test_the_help_names_every_kind(capsys: pytest.CaptureFixture[str]) -> None:
    assert analyse("--help") == 0
    shown = capsys.readouterr().out
    assert all(f"  {kind} " in shown for kind in command._FLAGS)
