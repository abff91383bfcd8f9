"""`burn-tf data check`: findings on stdout, 2 where the set cannot be used."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from burn_tf.cli import main as cli


def test_a_usable_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "found.json"
    assert cli.main(["data", "check", "synthetic:60", f"--json={path}", "--few=13"]) == 0
    shown = capsys.readouterr().out
    assert "train: 48 images, 4 classes" in shown and "few: 4 classes" in shown
    record = json.loads(path.read_text(encoding="utf-8"))
    assert record["usable"] is True and record["findings"][0]["kind"] == "few"
    assert len(record["findings"][0]["images"]) == 4


def test_an_unusable_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["data", "check", str(tmp_path)]) == 2
    assert "not usable" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["check"], "burn-tf data check SOURCE"),
        (["chek", "digits"], "Did you mean 'check'?"),
        (["check", "digits", "--few=-1"], "--few=-1"),
        (["check", "digits", "--json=no/such/file"], "`json` must lie"),
    ],
)
def test_mistakes(words: list[str], expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["data", *words]) == 2
    shown = capsys.readouterr().err
    assert expected in shown and shown.count("\n") == 1
