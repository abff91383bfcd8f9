"""Every method has a row in the README's table."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.conformance import cases, discovery

README = Path(__file__).parents[2] / "README.md"


def rows() -> list[str]:
    """Lines of the README's tables."""
    return [line for line in README.read_text("utf-8").splitlines() if line.startswith("|")]


@pytest.mark.parametrize("name", sorted(set(discovery.classes_of("method")) - cases.ABSTRACT))
def test_method_has_a_row(name: str) -> None:
    found = [row for row in rows() if re.search(rf"\b{name}\b", row.split("|")[1])]
    assert found, f"README.md: no table row begins with {name}"
