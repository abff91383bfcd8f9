"""Keras 2 is selected whatever the order of imports, or one line says what to do."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SHOW = "import tensorflow as tf; print(tf.keras.Model.__module__.split('.')[0])"


def run(program: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {k: v for k, v in os.environ.items() if k != "TF_USE_LEGACY_KERAS"}
    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={**kept, **environment},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize(
    ("program", "environment"),
    [
        (f"import burn_tf; {SHOW}", {}),
        (f"import tensorflow, burn_tf; {SHOW}", {"TF_USE_LEGACY_KERAS": "1"}),
    ],
)
def test_keras_2_is_selected(program: str, environment: dict[str, str]) -> None:
    done = run(program, **environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[-1] == "tf_keras"


@pytest.mark.parametrize("first", ["tensorflow", "keras"])
def test_too_late(first: str) -> None:
    done = run(f"import {first}, burn_tf")
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert "Keras 3" in last and "TF_USE_LEGACY_KERAS=1" in last
    assert "AttributeError" not in done.stderr
