"""What the wheel holds: the library, its licence and its console script, and nothing else."""

from __future__ import annotations

import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

from tests.packaging.wheel import ROOT, build_wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel of this checkout, opened."""
    return zipfile.ZipFile(build_wheel(tmp_path_factory.mktemp("checkout")))


def test_every_module_of_the_library_is_there(wheel: zipfile.ZipFile) -> None:
    modules = {
        path.relative_to(ROOT).as_posix()
        for top in ("burn_tf", "zoo")
        for path in (ROOT / top).rglob("*.py")
    }
    assert modules | {"burn_tf_launcher.py", "burn_tf/py.typed"} <= set(wheel.namelist())


def test_nothing_else_is_there(wheel: zipfile.ZipFile) -> None:
    tops = {name.split("/")[0] for name in wheel.namelist()}
    (information,) = [top for top in tops if top.endswith(".dist-info")]
    assert tops == {"burn_tf", "zoo", "burn_tf_launcher.py", information}


def test_licence_and_console_script(wheel: zipfile.ZipFile) -> None:
    names = {Path(name).name: name for name in wheel.namelist() if ".dist-info/" in name}
    assert "Apache License" in wheel.read(names["LICENSE"]).decode()
    assert "burn-tf = burn_tf_launcher:main" in wheel.read(names["entry_points.txt"]).decode()


def test_the_wheel_is_for_the_interpreters_of_the_lock(wheel: zipfile.ZipFile) -> None:
    (name,) = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
    pythons = SpecifierSet(message_from_bytes(wheel.read(name))["Requires-Python"])
    tried = [f"3.{minor}.1" for minor in range(8, 15)]
    assert list(pythons.filter(tried)) == ["3.10.1", "3.11.1", "3.12.1"]
