"""`burn-tf evaluate` from its flags to the JSON file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from burn_tf.cli import main as cli


def evaluate(*words: str) -> int:
    return cli.main(["evaluate", "--protocol=knn:5", "--data=digits", *words])


def test_the_row_and_the_file_hold_the_same_numbers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "result.json"
    assert evaluate("--model=raw_pixels", "--image_size=8", f"--json={path}") == 0
    result = json.loads(path.read_text(encoding="utf-8"))
    top1 = result["metrics"]["top1"]
    # Nearest neighbours on the pixels of these digits are known to be this good.
    assert 95.0 < top1 < 100.0
    assert result["protocol"] == "knn:5"
    assert capsys.readouterr().out.startswith(f"protocol knn:5  top1 {top1:.2f}")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--model=raw_pixels"], "--image_size=PIXELS"),
        (["--model=raw_pixels", "--image_size=0"], "--image_size=0"),
        (["--model=missing.keras"], "missing.keras"),
        (["--model=raw_pixels", "--image_size=8", "--data=no/such/folder"], "no/such/folder"),
        (["--model=raw_pixels", "--image_size=8", "--json=no/such/file.json"], "`json` must lie"),
        (["--model=raw_pixels", "--image_size=8", "--protocol=kn:5"], "Did you mean 'knn:5'?"),
    ],
)
def test_mistakes(words: list[str], expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate(*words) == 2
    shown = capsys.readouterr().err
    assert expected in shown and shown.count("\n") == 1


def test_a_size_that_the_model_is_not_built_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from burn_tf import backbones

    path = tmp_path / "model.keras"
    backbones.ReActNetTiny(input_shape=(16, 16, 3), include_top=False, pooling="avg").save(path)
    assert evaluate(f"--model={path}", "--image_size=8") == 2
    assert "`image_size` must be 16" in capsys.readouterr().err
