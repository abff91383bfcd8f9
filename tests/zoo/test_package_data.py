"""What the zoo reads at run time is in the wheel, the source archive and the Bazel target."""

from __future__ import annotations

import ast
import fnmatch
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DATA = sorted(
    path.relative_to(ROOT / "zoo").as_posix()
    for path in [ROOT / "zoo" / "manifest.json", ROOT / "zoo" / "cards", ROOT / "zoo" / "weights"]
    for path in ([path] if path.is_file() else path.glob("*"))
    if path.is_file()
)


def package_data() -> list[str]:
    """The patterns of setup.py for the package zoo."""
    for node in ast.walk(ast.parse((ROOT / "setup.py").read_text(encoding="utf-8"))):
        if isinstance(node, ast.keyword) and node.arg == "package_data":
            patterns: list[str] = ast.literal_eval(node.value)["zoo"]
            return patterns
    raise AssertionError("setup.py has no package_data")


@pytest.mark.parametrize("name", [*DATA, "py.typed", "cards/a.md", "weights/a.safetensors"])
def test_is_in_the_wheel(name: str) -> None:
    folder = name.rpartition("/")[0]
    assert any(
        fnmatch.fnmatch(name, pattern) and pattern.rpartition("/")[0] == folder
        for pattern in package_data()
    )


@pytest.mark.parametrize("name", DATA)
def test_is_in_the_source_archive(name: str) -> None:
    (line,) = re.findall(r"^recursive-include zoo (.*)$", (ROOT / "MANIFEST.in").read_text(), re.M)
    assert any(fnmatch.fnmatch(name.rpartition("/")[2], pattern) for pattern in line.split())


def test_is_in_the_target() -> None:
    text = (ROOT / "zoo" / "BUILD").read_text(encoding="utf-8")
    assert all(f'"{name}"' in text for name in ("manifest.json", "cards/*", "weights/*"))


def test_weights_are_small() -> None:
    """The whole package has to stay one that pip installs without complaint."""
    files = (ROOT / "zoo" / "weights").glob("*")
    assert sum(path.stat().st_size for path in files) < 20_000_000
