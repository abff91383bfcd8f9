"""The Makefile makes .venv once, from a usable interpreter, or says that none is there."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Stands for an interpreter: passes or fails the Makefile's check, makes a "virtual environment" of
# itself, and records what it was asked to do.
INTERPRETER = """#!/bin/sh
echo "$(basename "$0") $*" >> "$LOG"
case "$*" in
  *ensurepip*) exit {check} ;;
  "-m venv --clear .venv")
    mkdir -p .venv/bin
    cp "$0" .venv/bin/python
    cp "$0" .venv/bin/burn-tf
    ;;
esac
"""

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with what the Makefile reads, whose path has a space in it."""
    folder = tmp_path / "a check out"
    (folder / "requirements").mkdir(parents=True)
    for name in ("Makefile", "setup.py", "pyproject.toml", "requirements/lock.txt"):
        shutil.copy(ROOT / name, folder / name)
    return folder


def add_interpreter(folder: Path, name: str, *, usable: bool) -> None:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(INTERPRETER.format(check=0 if usable else 1), encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def add_tools(folder: Path) -> None:
    """The programs that the recipes call, so that PATH can be this folder alone."""
    folder.mkdir(exist_ok=True)
    for name in ("sh", "make", "mkdir", "cp", "cat", "basename", "rm", "printf", "touch"):
        found = shutil.which(name)
        assert found is not None, name
        (folder / name).symlink_to(found)


def make(checkout: Path, target: str) -> tuple[int, str, list[str]]:
    """Exit code, stderr and the calls of interpreters."""
    log = checkout.parent / "log"
    log.write_text("", encoding="utf-8")
    done = subprocess.run(
        ["make", target],
        cwd=checkout,
        env={"PATH": str(checkout.parent / "bin"), "LOG": str(log)},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stderr, log.read_text(encoding="utf-8").splitlines()


def test_the_first_usable_interpreter_is_taken_and_the_pins_installed(checkout: Path) -> None:
    tools = checkout.parent / "bin"
    add_tools(tools)
    add_interpreter(tools, "python3.11", usable=False)
    add_interpreter(tools, "python3", usable=True)
    code, errors, calls = make(checkout, "install")
    assert code == 0, errors
    assert "python3 -m venv --clear .venv" in calls
    assert any("pip install" in call and "-r requirements/lock.txt" in call for call in calls)


def test_an_environment_is_reused_until_the_lock_changes(checkout: Path) -> None:
    tools = checkout.parent / "bin"
    add_tools(tools)
    add_interpreter(tools, "python3", usable=True)
    assert make(checkout, "install")[0] == 0
    code, _, calls = make(checkout, "test")
    words = "python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder"
    assert (code, calls) == (0, [words])
    os.utime(checkout / "requirements" / "lock.txt", (4e9, 4e9))
    assert "python3 -m venv --clear .venv" in make(checkout, "test")[2]


def test_a_moved_checkout_makes_its_environment_again(checkout: Path) -> None:
    tools = checkout.parent / "bin"
    add_tools(tools)
    add_interpreter(tools, "python3", usable=True)
    assert make(checkout, "install")[0] == 0
    moved = checkout.rename(checkout.parent / "moved")
    assert "python3 -m venv --clear .venv" in make(moved, "install")[2]


def test_demo_runs_the_console_script(checkout: Path) -> None:
    tools = checkout.parent / "bin"
    add_tools(tools)
    add_interpreter(tools, "python3", usable=True)
    assert make(checkout, "demo")[2][-1] == "burn-tf demo"


def test_no_usable_interpreter_is_one_clear_error(checkout: Path) -> None:
    tools = checkout.parent / "bin"
    add_tools(tools)
    add_interpreter(tools, "python3", usable=False)
    code, errors, _ = make(checkout, "test")
    assert code == 2
    assert "no Python 3.10, 3.11 or 3.12" in errors
    assert not (checkout / ".venv").exists()
