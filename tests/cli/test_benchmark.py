"""`burn-tf benchmark` prints what a file costs here, or a table of every kind of file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from burn_tf.cli import benchmark
from burn_tf.cli import main as cli
from burn_tf.export import comparison
from burn_tf.export.comparison import TARGETS, TargetRow
from burn_tf.export.latency import Latency
from burn_tf.export.machine import describe_machine
from tests.export import stock_files


def test_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, result = tmp_path / "model.tflite", tmp_path / "result.json"
    model.write_bytes(stock_files.float_file())
    words = [f"--file={model}", "--threads=1,2", "--runs=3", f"--json={result}"]
    assert cli.main(["benchmark", *words]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert "(1 thread, 3 runs)" in captured.out and "(2 threads, 3 runs)" in captured.out
    for row in ("Machine: ", "Kernels: XNNPACK runs", "Memory: ", "Operators: ", "Convolution"):
        assert row in captured.out
    data = json.loads(result.read_text(encoding="utf-8"))
    assert data["runtime"] == "litert" and data["machine"]["cpu"] == describe_machine().cpu
    assert [entry["threads"] for entry in data["latencies"]] == [1, 2]


def test_a_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def only_lce(model: object, **arguments: object) -> tuple[TargetRow, ...]:
        return compare_targets(model, targets=["LCE"], **arguments)

    compare_targets = comparison.compare_targets
    monkeypatch.setattr(comparison, "compare_targets", only_lce)
    result = tmp_path / "result.json"
    words = ["--all=untrained:reactnet_tiny", "--input_size=16", "--runs=2", f"--json={result}"]
    words += ["--data=digits", "--images=5"]
    assert cli.main(["benchmark", *words]) == 0
    shown = capsys.readouterr().out
    assert "| Keras |" in shown and "| LCE |" in shown
    assert describe_machine().cpu in shown
    data = json.loads(result.read_text(encoding="utf-8"))
    assert [row["name"] for row in data["rows"]] == ["Keras", "LCE"]


def test_the_table() -> None:
    rows = (
        TargetRow("Keras", 1234567, Latency(0, 2.345, 6.789, 9), 1.0, 0.0, 0.0, "by TensorFlow"),
        TargetRow("LCE", 0, None, 0.0, 0.0, 0.0, "no binary layer"),
        TargetRow("LiteRT", 98, Latency(1, 0.5, 0.75, 9), 0.9375, 0.002, 0.0123, "by XNNPACK"),
    )
    assert benchmark.table(rows).splitlines()[2:] == [
        "| Keras | 1,234,567 | 2.35 | 6.79 | 100.0% | 0.0e+00 | 0.0e+00 |",
        "| LCE | no file | | | | | |",
        "| LiteRT | 98 | 0.50 | 0.75 | 93.8% | 2.0e-03 | 1.2e-02 |",
        "",
        "Keras: by TensorFlow",
        "LCE: no binary layer",
        "LiteRT: by XNNPACK",
    ]


def test_the_columns_of_the_issue() -> None:
    assert list(TARGETS) == ["LCE", "LiteRT float", "LiteRT compact", "LiteRT int8"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], "needs one of --file and --all. Received: neither"),
        (["--file=a", "--all=b"], "Received: both"),
        (["--file=missing.tflite"], "missing.tflite"),
        (["--file=model.txt"], "bytes of a .tflite file"),
        (["--file=model.txt", "--threads=0"], "`threads` must be whole numbers"),
        (["--file=model.txt", "--threads=1,x"], "Received: 'x'"),
        (["--file=model.txt", "--threads=99999"], "from 1 to 1024"),
        (["--file=model.txt", "--threads=" + 5000 * "9"], "from 1 to 1024"),
        (["--file=model.txt", "--data=digits"], "`data` is for --all: leave it out"),
        (["--all=untrained:reactnet_tiny", "--images=3"], "`images` is for --data"),
        (["--file=model.txt", "--runs=0"], "--runs=0"),
        (["--file=model.txt", "--json=no/such/folder/a.json"], "a folder that exists"),
        (["--all=nothing_here"], "nothing_here"),
        (["--all=untrained:reactnet_tiny", "--threads=1,2"], "one number with --all"),
        (["--all=untrained:reactnet_tiny"], "input_size=224"),
    ],
)
def test_mistakes(
    words: list[str],
    expected: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("model.txt").write_text("hello, world", encoding="utf-8")
    assert cli.main(["benchmark", *words]) == 2
    captured = capsys.readouterr()
    assert expected in captured.err and captured.err.count("\n") == 1
    assert captured.out == "" and list(tmp_path.iterdir()) == [tmp_path / "model.txt"]
