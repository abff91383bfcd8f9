"""Functions called in a fresh process: results, mistakes, crashes."""

from __future__ import annotations

import subprocess
import sys

import pytest

from burn_tf._checks import UserError
from burn_tf.export import isolation
from burn_tf.export.isolation import call_isolated
from tests.export import stock_files


def test_the_result_comes_back(tmp_path):
    path = tmp_path / "with a space.tflite"
    path.write_bytes(stock_files.float_file())
    assert call_isolated("memory.peak_memory", str(path), "litert", 1, 1) > 0


def test_a_mistake_keeps_its_words():
    with pytest.raises(UserError, match=r"^`runtime` must be one of .* Did you mean 'litert'\?"):
        call_isolated("interpreters.import_runtime", "litret")


def test_a_failure_is_one_line():
    with pytest.raises(UserError) as error:
        call_isolated("memory.peak_memory", "no/such/file", "litert", 1, 1)
    assert "exit code 1" in str(error.value) and "No such file" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_crash_is_one_line(monkeypatch):
    def crash(*arguments: object, **keywords: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess([], -11, stdout="", stderr="")

    monkeypatch.setattr(subprocess, "run", crash)
    with pytest.raises(UserError, match="exit code -11, no message"):
        call_isolated("memory.peak_memory")


def test_no_tensorflow_is_imported():
    """The program that the process runs, asked for what it has imported instead."""
    program = isolation._PROGRAM.replace("answer(sys.argv[1])", "print(sorted(sys.modules))")
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "burn_tf.export.isolation" in done.stdout
    assert "tensorflow" not in done.stdout
