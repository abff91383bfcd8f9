"""`--teacher_cache` and `--cached_views`: one line where they cannot be, nothing left behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from burn_tf.cli.main import main


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(list(words)) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("burn-tf: error: ") and "\n" not in error
    return error


def test_refusals_of_pretrain(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    words = ("pretrain", "--data=digits", f"--workdir={tmp_path / 'run'}")
    folder = f"--teacher_cache={tmp_path / 'cache'}"
    alone = refused(capsys, *words, "--recipe=burn_digits", folder)
    assert "--teacher_cache needs --cached_views beside it" in alone
    alone = refused(capsys, *words, "--recipe=burn_digits", "--cached_views=2")
    assert "--cached_views needs --teacher_cache beside it" in alone
    both = (folder, "--cached_views=3")
    two = ("--recipe=burn_digits", "--set=views.num_views=2")
    assert "multiple of the recipe's `views.num_views`, 2" in refused(capsys, *words, *two, *both)
    assert "with MSBReg" in refused(capsys, *words, "--recipe=msbreg_digits", *both)
    assert list(tmp_path.iterdir()) == []


def test_refusal_of_compare(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    words = ("compare", "--methods=burn,byol", "--data=digits", "--budget=2", "--images=64")
    network = ("--backbone=reactnet_tiny", "--width=1", f"--workdir={tmp_path / 'work'}")
    cache = (f"--teacher_cache={tmp_path / 'cache'}", "--cached_views=2")
    error = refused(capsys, *words, *network, *cache)
    assert "must be left out where a method without a frozen teacher is compared" in error
    assert error.endswith("Received: byol")
    assert list(tmp_path.iterdir()) == []
