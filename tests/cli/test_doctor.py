"""`burn-tf doctor` finds what is broken and names a cure."""

from __future__ import annotations

import importlib.metadata
import sys
from typing import Any

import numpy as np
import pytest

from burn_tf.cli import doctor
from burn_tf.cli import main as cli


def without(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.metadata.version

    def version(name: str) -> str:
        if name == package:
            raise importlib.metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(importlib.metadata, "version", version)


def test_a_sound_installation(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["doctor"]) == 0
    shown = capsys.readouterr().out
    assert "FAIL" not in shown and shown.rstrip().endswith("All is well.")
    for row in (
        "python",
        "tensorflow",
        "Keras 2",
        "burn_tf",
        "larq quantizer",
        "conversion to LCE",
    ):
        assert f"ok   {row}" in shown


def test_a_missing_package_is_named_with_its_cure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    without("larq", monkeypatch)
    monkeypatch.setattr(
        doctor, "check_conversion", lambda: doctor.Finding("conversion", "left out")
    )
    assert cli.main(["doctor"]) == 2
    shown = capsys.readouterr().out
    assert "FAIL larq                 not installed" in shown
    assert "cure: pip install 'larq" in shown
    assert "1 to repair" in shown


def test_a_version_outside_setup_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        importlib.metadata, "requires", lambda name: ["numpy>=1.26,<2", 'x>=9; extra == "dev"']
    )
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "2.1.0")
    assert doctor.check_package("numpy").cure in {
        "pip install 'numpy<2,>=1.26'",
        "pip install 'numpy>=1.26,<2'",
    }
    assert doctor.check_package("x").cure == ""


def test_an_old_interpreter_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 9, 0))
    assert "3.10, 3.11 or 3.12" in doctor.check_python().cure


def test_keras_3_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    import tensorflow as tf

    class Model:
        __module__ = "keras.src.models.model"

    monkeypatch.setattr(tf.keras, "Model", Model)
    finding = doctor.check_legacy_keras()
    assert "tf.keras is keras" in finding.detail
    assert "TF_USE_LEGACY_KERAS" in finding.cure


def test_a_check_that_fails_becomes_a_finding(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def check_larq() -> doctor.Finding:
        raise AttributeError("module has no attribute\n'layers'")

    monkeypatch.setattr(doctor, "check_larq", check_larq)
    monkeypatch.setattr(
        doctor, "check_conversion", lambda: doctor.Finding("conversion", "left out")
    )
    assert cli.main(["doctor"]) == 2
    assert "AttributeError: module has no attribute 'layers'" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("images", "sound"), [(slice(0, 1), True), (slice(None), False)], ids=["one image", "all"]
)
def test_a_wrong_file_is_found_and_a_flipped_sign_is_not_one(
    images: slice, sound: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    from burn_tf.export import parity

    keras_outputs = parity._keras_outputs

    def altered(*args: Any) -> list[np.ndarray]:
        (outputs,) = keras_outputs(*args)
        outputs[images] += 0.01
        return [outputs]

    monkeypatch.setattr(parity, "_keras_outputs", altered)
    finding = doctor.check_conversion()
    assert (finding.cure == "") == sound
    assert sound or "larq-compute-engine" in finding.cure
