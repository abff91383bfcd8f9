"""The BUILD files cover every package and test folder; their `deps` are what the code imports."""

from __future__ import annotations

import ast
import functools
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Where the distribution's name is not the name that is imported.
DISTRIBUTIONS = {"PIL": "pillow", "absl": "absl_py", "sklearn": "scikit_learn"}
LIBRARIES = sorted(
    {path.parent for top in ("burn_tf", "zoo") for path in (ROOT / top).rglob("*.py")}
    - {ROOT / "burn_tf"}
)
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
TEST_FOLDERS = sorted({path.parent for path in (ROOT / "tests").rglob("test_*.py")})


def rules(build_file: Path) -> dict[str, dict[str, ast.expr]]:
    """Target name -> arguments. The language of a BUILD file is a subset of Python's syntax."""
    found = {}
    for node in ast.walk(ast.parse(build_file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            arguments = {word.arg: word.value for word in node.keywords if word.arg}
            if isinstance(name := arguments.get("name"), ast.Constant):
                found[str(name.value)] = arguments
    return found


def strings(expression: ast.expr | None) -> set[str]:
    nodes = [] if expression is None else ast.walk(expression)
    return {str(node.value) for node in nodes if isinstance(node, ast.Constant)}


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def label(imported: str) -> str | None:
    """The Bazel label of the library that holds a module; None for the standard library."""
    top, *rest = imported.split(".")
    if top == "zoo" or (top == "burn_tf" and rest[:1] == ["zoo"]):
        return "//zoo"
    if top == "burn_tf" and rest[:1] == ["demo"]:
        return "//burn_tf:demo"
    if top == "burn_tf":
        package = bool(rest) and (ROOT / "burn_tf" / rest[0]).is_dir()
        return f"//burn_tf/{rest[0]}" if package else "//burn_tf:core"
    if top in sys.stdlib_module_names:
        return None
    return f"@pip//{DISTRIBUTIONS.get(top, top)}"


@functools.cache
def locked() -> set[str]:
    text = (ROOT / "requirements" / "lock.txt").read_text(encoding="utf-8")
    names = re.findall(r"^([A-Za-z0-9._-]+)==", text, re.MULTILINE)
    return {re.sub(r"[-.]+", "_", name).lower() for name in names}


def test_every_package_was_found() -> None:
    names = {folder.name for folder in LIBRARIES}
    assert {"layers", "backbones", "losses", "methods", "data", "export", "cli", "zoo"} <= names


@pytest.mark.parametrize("folder", LIBRARIES, ids=lambda folder: folder.name)
def test_library_globs_its_folder_and_states_what_it_imports(folder: Path) -> None:
    target = rules(folder / "BUILD")[folder.name]
    assert strings(target["srcs"]) == {"*.py"}
    wanted = {label(name) for path in folder.glob("*.py") for name in imports(path)}
    own = f"//{folder.relative_to(ROOT).as_posix()}"
    assert wanted - {None, own, "//burn_tf:core"} == strings(target.get("deps")) - {
        "//burn_tf:core"
    }


def test_core_states_what_it_imports() -> None:
    target = rules(ROOT / "burn_tf" / "BUILD")["core"]
    left_out = strings(target["srcs"]) - {"*.py"}
    assert left_out == {"__main__.py", "demo.py", "zoo.py"}
    files = set((ROOT / "burn_tf").glob("*.py"))
    files = {path for path in files if path.name not in left_out | {"__init__.py"}}
    wanted = {label(name) for path in files for name in imports(path)}
    assert wanted - {None, "//burn_tf:core"} == strings(target["deps"])


def test_the_demo_states_what_it_imports() -> None:
    target = rules(ROOT / "burn_tf" / "BUILD")["demo"]
    wanted = {label(name) for name in imports(ROOT / "burn_tf" / "demo.py")}
    relative = {"//burn_tf:core" if name == ":core" else name for name in strings(target["deps"])}
    assert wanted - {None} == relative


def test_the_whole_library_has_every_package() -> None:
    wanted = {f"//{folder.relative_to(ROOT).as_posix()}" for folder in LIBRARIES}
    assert (
        strings(rules(ROOT / "burn_tf" / "BUILD")["burn_tf"]["deps"]) - {":core", ":zoo"} == wanted
    )


def test_there_is_a_binary_for_the_command_line() -> None:
    binary = rules(ROOT / "BUILD")["burn-tf"]
    assert strings(binary["srcs"]) == {"burn_tf_launcher.py"}
    assert strings(binary["deps"]) == {"//burn_tf"}


@pytest.mark.parametrize("script", EXAMPLES, ids=lambda script: script.stem)
def test_an_example_is_a_binary_that_states_what_it_imports(script: Path) -> None:
    target = rules(script.parent / "BUILD")[script.stem]
    assert strings(target["srcs"]) == {script.name}
    wanted = {label(name) for name in imports(script)} - {None}
    # The library is one target for programs.
    ours = {name for name in wanted if str(name).startswith("//")}
    assert strings(target["deps"]) == {"//burn_tf"} | (wanted - ours)


@pytest.mark.parametrize("folder", TEST_FOLDERS, ids=lambda folder: folder.name)
def test_folder_of_tests_has_a_target(folder: Path) -> None:
    text = (folder / "BUILD").read_text(encoding="utf-8")
    compact = "".join(text.split())
    assert f'pytest_folder(name="{folder.name}_test"' in compact


def test_every_label_exists() -> None:
    for build_file in [
        path
        for top in ("burn_tf", "zoo", "tests", "examples")
        for path in (ROOT / top).rglob("BUILD")
    ]:
        for name in re.findall(r'"@pip//([^"]+)"', build_file.read_text(encoding="utf-8")):
            assert name in locked(), f"{build_file}: {name} is not in requirements/lock.txt"
        for name in re.findall(r'"//([a-z_/]+)"', build_file.read_text(encoding="utf-8")):
            assert (ROOT / name / "BUILD").is_file(), f"{build_file}: //{name}"
