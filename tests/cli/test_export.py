"""`burn-tf export` writes a whole file or none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from burn_tf import backbones
from burn_tf.cli import main as cli
from burn_tf.detection import Detector
from burn_tf.export import read_labels
from burn_tf.export.runtime import load_runtime


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
        ([], "say which with --input_size=PIXELS"),
        (["--input_size=16", "--verify=no_such_source"], "no_such_source"),
        (["--target=litert-int8"], "needs --calibration=SOURCE"),
        (["--calibration=digits"], "`calibration` is for --target=litert-int8"),
        (["--images=3"], "`images` is for --calibration and --verify"),
        (["--labels=missing.txt"], "cannot read 'missing.txt'"),
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


def test_the_model_is_not_written_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = tmp_path / "m.keras"
    backbones.ReActNetTiny(input_shape=(16, 16, 3)).save(model)
    before = model.read_bytes()
    (tmp_path / "link.tflite").symlink_to(model)
    for name in ("m.keras", "link.tflite"):
        assert cli.main(["export", f"--model={model}", f"--output={tmp_path / name}"]) == 2
        assert "`output` must be another file than `model`" in capsys.readouterr().err
    assert model.read_bytes() == before


@pytest.mark.parametrize("target", ["lce", "litert", "litert-int8"])
def test_every_target_is_verified_on_images(
    target: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, output, labels = (tmp_path / name for name in ("m.keras", "m.tflite", "labels.txt"))
    backbones.ReActNetTiny(input_shape=(16, 16, 3), classes=3).save(model)
    labels.write_text("cat\ndog\nKröte\n", encoding="utf-8")
    words = [f"--model={model}", f"--output={output}", f"--target={target}", "--verify=digits"]
    words += [f"--labels={labels}"]
    words += ["--calibration=digits"] if target == "litert-int8" else []
    assert cli.main(["export", *words, "--images=20"]) == 0
    runtime = "lce" if target == "lce" else "litert"
    assert f"20 images in {runtime}: top-1 agreement" in capsys.readouterr().out
    assert read_labels(output.read_bytes()) == ("cat", "dog", "Kröte")


def test_labels_must_be_as_many_as_outputs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "labels.txt").write_text("one\n")
    words = [
        "--model=untrained:reactnet_tiny",
        "--input_size=16",
        f"--labels={tmp_path / 'labels.txt'}",
        f"--output={tmp_path / 'a.tflite'}",
        "--target=litert",
    ]
    assert cli.main(["export", *words]) == 2
    assert "`labels` must be" in capsys.readouterr().err
    assert not (tmp_path / "a.tflite").exists()


@pytest.mark.parametrize("target", ["lce", "litert"])
def test_a_detector_of_evaluate(
    target: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, output = tmp_path / "detector.safetensors", tmp_path / "detector.tflite"
    backbone = backbones.ReActNetTiny(include_top=False, stem_strides=2)
    Detector.of(backbone, ("cat", "dog"), 64, width=8, depth=0).save(model)
    words = [f"--model={model}", f"--output={output}", f"--target={target}", "--verify=digits"]
    assert cli.main(["export", *words, "--images=4"]) == 0
    runtime = "lce" if target == "lce" else "litert"
    assert f"4 images in {runtime}: top-1 agreement" in capsys.readouterr().out
    content = output.read_bytes()
    assert read_labels(content) == ("cat", "dog")
    loaded = load_runtime(content)
    assert loaded.input_dtype == np.uint8
    assert loaded.output_shapes == ((1, 774, 4), (1, 774, 2))


def test_a_detector_in_integers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, output = tmp_path / "detector.safetensors", tmp_path / "detector.tflite"
    backbone = backbones.ReActNetTiny(include_top=False, stem_strides=2)
    Detector.of(backbone, ("cat",), 64, width=8, depth=0).save(model)
    words = ["--target=litert-int8", "--calibration=digits", "--verify=digits", "--images=4"]
    assert cli.main(["export", f"--model={model}", f"--output={output}", *words]) == 0
    shown = capsys.readouterr().out
    assert "boxes are made of the integers in float" in shown and "4 images in litert" in shown
    assert load_runtime(output.read_bytes()).output_shapes == ((1, 774, 4), (1, 774, 1))
