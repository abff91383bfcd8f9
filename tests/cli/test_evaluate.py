"""`burn-tf evaluate` from its flags to the JSON file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from burn_tf.cli import main as cli


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test writes features into the cache of whoever runs it."""
    folder = tmp_path / "home"
    monkeypatch.setenv("BURN_TF_HOME", str(folder))
    return folder


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
        (["--model=raw_pixels", "--image_size=8", "--output=made"], "`output` is for detect:voc"),
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


def test_several_protocols_give_a_table_and_a_list(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "results.json"
    words = ["--protocol=linear:fast,knn:20", "--model=raw_pixels", "--image_size=8"]
    assert evaluate(*words, f"--json={path}") == 0
    records = json.loads(path.read_text(encoding="utf-8"))
    assert [record["protocol"] for record in records] == ["linear:fast", "knn:20"]
    head, rule, *rows = capsys.readouterr().out.splitlines()
    assert head.split() == ["protocol", "top1", "top5"] and set(rule) == {"-", " "}
    for row, record in zip(rows, records, strict=True):
        assert row.split()[0] == record["protocol"]
        assert float(row.split()[1]) == pytest.approx(record["metrics"]["top1"], abs=0.006)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    from burn_tf import backbones

    path = tmp_path / "model.keras"
    backbones.ReActNetTiny(input_shape=(8, 8, 3), include_top=False, pooling="avg").save(path)
    return path


def test_features_are_kept_and_used_again(
    model: Path, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [f"--model={model}", "--data=synthetic:40"]
    assert evaluate(*words, "--cache=none") == 0
    assert not home.exists()
    first = capsys.readouterr()
    assert evaluate(*words) == 0
    second = capsys.readouterr()
    assert len(list((home / "features").glob("*.npy"))) == 2
    assert evaluate(*words) == 0
    third = capsys.readouterr()
    assert first.out == second.out == third.out
    # Features are computed with a line of progress for each split; none where they are kept.
    assert first.err.count("features of synthetic:40") == 2
    assert second.err.count("features of synthetic:40") == 2 and third.err == ""
    assert evaluate(*words, f"--cache={tmp_path / 'own'}") == 0
    assert len(list((tmp_path / "own").iterdir())) == 2


def test_a_cache_that_is_no_folder(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate(f"--model={model}", "--data=synthetic:40", f"--cache={model}") == 2
    shown = capsys.readouterr().err
    assert "`cache` must be a folder to write to" in shown and shown.count("\n") == 1


def test_detection_from_a_folder_as_voc_has_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pycocotools", reason="AP needs the extra burn_tf[detection]")
    import tensorflow as tf

    from burn_tf import backbones
    from burn_tf.detection import DetectorTraining
    from burn_tf.evaluation import PROTOCOLS, DetectionProbe
    from tests.detection.made_boxes import made_boxes, write_voc

    # The protocol as it is but for its length and width, which are the papers'.
    short = DetectionProbe(training=DetectorTraining(epochs=1), width=8, depth=0)
    monkeypatch.setitem(PROTOCOLS, "detect:voc", lambda: short)
    write_voc(tmp_path / "VOC2007", {"trainval": made_boxes(4), "test": made_boxes(3, seed=1)})
    model = tmp_path / "model.keras"
    backbones.ReActNetTiny((64, 64, 3), include_top=False, pooling="avg").save(model)
    words = [f"--model={model}", f"--data=voc:{tmp_path}", "--protocol=detect:voc"]
    path = tmp_path / "result.json"
    # One update and one batch: to trace their graphs would take most of the time.
    tf.config.run_functions_eagerly(True)
    try:
        assert evaluate(*words, f"--json={path}", f"--output={tmp_path / 'kept'}") == 0
    finally:
        tf.config.run_functions_eagerly(False)
    row = capsys.readouterr().out
    record = json.loads(path.read_text(encoding="utf-8"))
    assert row.startswith(f"protocol detect:voc  ap {record['metrics']['ap']:.2f}  ap50 ")
    facts = record["provenance"]
    assert facts["data"]["train"]["num_images"] == 4 and len(facts["detections"]) == 3
    # As seen from the JSON file: both may move together.
    assert facts["detections"][0]["image"] == "kept/pictures/00000.png"
    assert (tmp_path / "kept" / "detector.safetensors").is_file()
    page = tmp_path / "page.html"
    assert cli.main(["report", str(path), f"--html={page}"]) == 0
    shown = page.read_text(encoding="utf-8")
    assert "Detections of reactnet_tiny, detect:voc" in shown and "70.91" in shown


def test_detection_without_boxes_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--model=untrained:reactnet_tiny", "--image_size=32", "--protocol=detect:voc"]
    assert evaluate(*words) == 2
    shown = capsys.readouterr().err
    assert "detection needs boxes" in shown and "'digits'" in shown
