"""The machine is named, on x86 and on ARM."""

from __future__ import annotations

import importlib.metadata
import platform

import pytest

from burn_tf.export import machine
from burn_tf.export.machine import describe_machine

X86 = "processor\t: 0\nmodel\t\t: 85\nmodel name\t: Imagined CPU @ 2 GHz\n\nprocessor\t: 1\n"
RASPBERRY = "processor\t: 0\nBogoMIPS\t: 108.00\n\nHardware\t: BCM2835\nModel\t\t: Raspberry Pi 4\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (X86, "Imagined CPU @ 2 GHz"),
        (RASPBERRY, "Raspberry Pi 4"),
        ("Hardware : Qualcomm\n", "Qualcomm"),
        ("", platform.processor() or platform.machine()),
    ],
)
def test_the_processor(text, expected, tmp_path, monkeypatch):
    path = tmp_path / "cpuinfo"
    path.write_text(text, encoding="utf-8")
    monkeypatch.setattr(machine, "_CPU_INFO", path)
    assert describe_machine().cpu == expected


def test_this_machine():
    found = describe_machine()
    assert found.cores >= 1 and platform.machine() in found.system
    assert found.versions["python"] == platform.python_version()
    assert found.versions["tensorflow"] == importlib.metadata.version("tensorflow")
    assert f"{found.cores} cores" in str(found) and found.cpu in str(found)


def test_a_package_that_is_missing_is_left_out(monkeypatch):
    def version(package: str) -> str:
        if package == "ai-edge-litert":
            raise importlib.metadata.PackageNotFoundError(package)
        return "1.2"

    monkeypatch.setattr(importlib.metadata, "version", version)
    assert list(describe_machine().versions) == ["python", "larq-compute-engine", "tensorflow"]
