"""`burn-tf export` writes a whole file or none."""

from __future__ import annotations

from pathlib import Path

import pytest
import tensorflow as tf

from burn_tf import backbones
from burn_tf.cli import main as cli


def test_a_backbone_becomes_a_file_and_a_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, output = tmp_path / "model.keras", tmp_path / "model.tflite"
    backbones.ReActNetTiny(input_shape=(16, 16, 3), classes=4).save(model)
    assert cli.main(["export", f"--model={model}", f"--output={output}"]) == 0
    # A TFLite file carries its identifier in bytes 4 to 8.
    assert output.read_bytes()[4:8] == b"TFL3"
    shown = capsys.readouterr().out
    assert "binary" in shown and f"Written: {output}" in shown


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--target=lec"], "--target=lec"),
        (["--output=no/such/folder/a.tflite"], "`output` must lie in a folder that exists"),
        (["--model=missing.keras"], "missing.keras"),
    ],
)
def test_mistakes(
    words: list[str], expected: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    default = ["--model=untrained:reactnet_tiny", f"--output={tmp_path / 'a.tflite'}"]
    assert cli.main(["export", *default, *words]) == 2
    shown = capsys.readouterr().err
    assert expected in shown and shown.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_model_that_is_not_ours(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, output = tmp_path / "float.keras", tmp_path / "float.tflite"
    tf.keras.Sequential([tf.keras.Input([8, 8, 3]), tf.keras.layers.Conv2D(4, 3)]).save(model)
    assert cli.main(["export", f"--model={model}", f"--output={output}"]) == 2
    assert "binary layers" in capsys.readouterr().err
    assert not output.exists()
