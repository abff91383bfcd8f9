"""`burn-tf data`: findings on stdout, 2 where a set cannot be used; packing; serving."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
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


def test_pack_and_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = tmp_path / "packed"
    assert cli.main(["data", "pack", "synthetic:60", f"--output={home}", "--shards=2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("train: 48 images, 0 of them made anew, 0 damaged ones left out, ")
    assert lines[0].endswith(" MB in 2 file(s)") and lines[2] == f"use it as --data packed:{home}"
    assert cli.main(["data", "check", f"packed:{home}"]) == 0
    assert "train: 48 images, 4 classes" in capsys.readouterr().out
    assert cli.main(["data", "pack", "synthetic:60", f"--output={home}"]) == 2
    assert "must not hold packed images yet" in capsys.readouterr().err


def heed_interrupts() -> None:
    """A process started in the background has been told to ignore them, and its children too."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_serve_until_interrupted() -> None:
    words = [sys.executable, "-m", "burn_tf", "data", "serve", "--host=localhost"]
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, text=True, preexec_fn=heed_interrupts
    ) as process:
        try:
            line = process.stdout.readline()
            assert line.startswith("data service at localhost:") and line.endswith("with Ctrl-C\n")
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 130
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["check"], "burn-tf data check SOURCE"),
        ([], "needs an action and a source"),
        (["pack"], "burn-tf data pack SOURCE"),
        (["pack", "digits"], "needs --output"),
        (["pack", "digits", "--output=/dev/null"], "`output` must be a folder"),
        (["pack", "digist", "--output=no/such"], "no such folder"),
        (["serve", "digits"], "takes flags only"),
        (["serve", "--dispatcher=nowhere"], "`dispatcher` must be HOST:PORT"),
        (["serve", "--dispatcher=localhost:1"], "`dispatcher` must be the address of a running"),
        (["check", "digits", "--output=made"], "`output` is for `burn-tf data pack`"),
        (["serve", "--few=3"], "`few` is for `burn-tf data check`"),
        (["chek", "digits"], "Did you mean 'check'?"),
        (["check", "digits", "--few=-1"], "--few=-1"),
        (["check", "digits", "--json=no/such/file"], "`json` must lie"),
    ],
)
def test_mistakes(words: list[str], expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["data", *words]) == 2
    shown = capsys.readouterr().err
    assert expected in shown and shown.count("\n") == 1
