"""Bazel itself loads, builds and runs the BUILD files; stand-ins replace what it would fetch.

Debian's Bazel 4.2 (`bazel-bootstrap`) predates MODULE.bazel and cannot download rules_python, so a
workspace is made here whose rules_python hands out Bazel's built-in Python rules.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Bazel = Callable[..., subprocess.CompletedProcess[str]]

ROOT = Path(__file__).resolve().parents[2]
BAZEL = shutil.which("bazel")
BUILDIFIER = shutil.which("buildifier")
# What Bazel's own tool packages load from repositories that it would download.
NATIVE_RULES = {
    "rules_python/python": ["py_binary", "py_library", "py_test"],
    "rules_cc/cc": [
        "cc_binary",
        "cc_import",
        "cc_library",
        "cc_test",
        "cc_toolchain",
        "cc_toolchain_suite",
        "objc_library",
    ],
    "rules_java/java": [
        "java_binary",
        "java_import",
        "java_library",
        "java_package_configuration",
        "java_plugin",
        "java_runtime",
        "java_test",
        "java_toolchain",
    ],
}

pytestmark = pytest.mark.slow


def write(path: Path, text: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def build_files() -> list[Path]:
    listed = [ROOT / "BUILD", ROOT / "requirements" / "BUILD"]
    for top in ("burn_tf", "zoo", "tests", "benchmarks", "examples"):
        listed.extend(sorted((ROOT / top).rglob("BUILD")))
    return listed


def make_stand_ins(folder: Path) -> dict[str, Path]:
    """Repositories that Bazel would download, by name."""
    for package, names in NATIVE_RULES.items():
        write(folder / package / "BUILD")
        write(folder / package / "defs.bzl", "".join(f"{name} = native.{name}\n" for name in names))
    write(
        folder / "remote_coverage_tools" / "BUILD",
        'filegroup(name = "coverage_report_generator", visibility = ["//visibility:public"])\n',
    )
    for name in {
        name for path in build_files() for name in re.findall(r'"@pip//(\w+)"', path.read_text())
    }:
        write(
            folder / "pip" / name / "BUILD",
            f'py_library(name = "{name}", visibility = ["//visibility:public"])\n',
        )
    repositories = [path for path in folder.iterdir() if path.is_dir()]
    for path in repositories:
        write(path / "WORKSPACE")
    return {path.name: path for path in repositories}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkout's own files under a WORKSPACE that Bazel 4.2 understands."""
    folder = tmp_path_factory.mktemp("workspace")
    for path in ROOT.iterdir():
        if path.name not in {".git", ".venv", "build", "dist"} and not path.name.startswith(
            "bazel-"
        ):
            (folder / path.name).symlink_to(path)
    write(folder / "WORKSPACE", 'workspace(name = "burn_tf")\n')
    return folder


@pytest.fixture(scope="module")
def stand_ins(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return make_stand_ins(tmp_path_factory.mktemp("stand_ins"))


@pytest.fixture(scope="module")
def search_path(tmp_path_factory: pytest.TempPathFactory) -> str:
    """PATH on which `python` and `python3` are the interpreter that runs this test."""
    folder = tmp_path_factory.mktemp("interpreter")
    for name in ("python", "python3"):
        write(folder / name, f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
        (folder / name).chmod(0o755)
    return f"{folder}:/usr/bin:/bin"


@pytest.fixture(scope="module")
def bazel(workspace: Path, stand_ins: dict[str, Path], search_path: str) -> Bazel:
    """Runs one Bazel command in the workspace, with no network."""
    overrides = [f"--override_repository={name}={path}" for name, path in stand_ins.items()]
    output = f"--output_user_root={workspace.parent / 'bazel_output'}"

    def run(command: str, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(BAZEL), output, "--batch", command, *overrides, *words],
            cwd=workspace,
            env=os.environ | {"PATH": search_path},
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )

    return run


@pytest.mark.skipif(BAZEL is None, reason="bazel is not installed")
def test_every_target_loads(bazel: Bazel) -> None:
    done = bazel("query", "//...")
    assert done.returncode == 0, done.stderr
    targets = set(done.stdout.split())
    assert {"//:burn-tf", "//burn_tf:burn_tf", "//zoo:zoo", "//tests/cli:cli_test"} <= targets


@pytest.mark.skipif(BAZEL is None, reason="bazel is not installed")
def test_everything_builds(bazel: Bazel) -> None:
    done = bazel("build", "//...")
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(BAZEL is None, reason="bazel is not installed")
def test_the_binary_runs(bazel: Bazel) -> None:
    done = bazel("run", "//:burn-tf", "--", "--help")
    assert done.returncode == 0, done.stderr
    assert "Usage: burn-tf COMMAND" in done.stdout


@pytest.mark.skipif(BAZEL is None, reason="bazel is not installed")
def test_a_test_folder_runs(bazel: Bazel, search_path: str) -> None:
    done = bazel(
        "test",
        "//tests/losses:losses_test",
        f"--action_env=PATH={search_path}",
        f"--test_env=PATH={search_path}",
        "--test_output=all",
        "--test_arg=-k=kl",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"[1-9]\d* passed", done.stdout), done.stdout


@pytest.mark.skipif(BUILDIFIER is None, reason="buildifier is not installed")
def test_buildifier_has_nothing_to_change() -> None:
    files = [*build_files(), ROOT / "MODULE.bazel", ROOT / "tests" / "pytest.bzl"]
    done = subprocess.run(
        [str(BUILDIFIER), "-mode=check", "-lint=warn", *map(str, files)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
