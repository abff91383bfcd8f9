"""Docstrings are complete, and their examples run."""

from __future__ import annotations

import doctest
import inspect
import re
import sys
from collections.abc import Callable
from typing import Any

import pytest
import tensorflow as tf

import burn_tf
from tests.conformance import cases, discovery

CLASSES: dict[str, Callable[..., Any]] = {
    n: m for n, m in discovery.public_classes().items() if n not in cases.PLAIN
}
FUNCTIONS: dict[str, Callable[..., Any]] = {
    name: member
    for package in discovery.PACKAGES
    for name, member in discovery.exported(package).items()
    if inspect.isfunction(member)
}
# Tools around networks and methods (counting, switching) need no formula, paper or departure.
TOOLS = {
    name
    for name, member in FUNCTIONS.items()
    if member.__module__.startswith(("burn_tf.backbones", "burn_tf.methods"))
} - set(discovery.builders())
DOCUMENTED: dict[str, Callable[..., Any]] = {
    name: member for name, member in {**CLASSES, **FUNCTIONS}.items() if name not in TOOLS
}
EVERYTHING = {**CLASSES, **FUNCTIONS, **discovery.classes_of("plain")}


def lines_of(member: Any) -> list[str]:
    return (inspect.getdoc(member) or "").splitlines()


def has_section(member: Any, title: str) -> bool:
    return any(line.startswith(f"{title}:") for line in lines_of(member))


@pytest.mark.parametrize("name", DOCUMENTED)
class TestComplete:
    def test_sections(self, name: str) -> None:
        member = DOCUMENTED[name]
        built = name not in cases.ABSTRACT
        wanted = ["Example", "Source", "Departs from source"] if built else []
        if discovery.parameters_of(member):
            wanted += ["Args", "Raises"]
        missing = [title for title in wanted if not has_section(member, title)]
        assert not missing, f"docstring of {name} lacks {missing}"

    def test_names_every_argument(self, name: str) -> None:
        text = "\n".join(lines_of(DOCUMENTED[name]))
        unnamed = [
            parameter
            for parameter in discovery.parameters_of(DOCUMENTED[name])
            if not re.search(rf"^ +[\w, ]*\b{parameter}\b[\w, \n]*:", text, re.MULTILINE)
        ]
        assert not unnamed, f"docstring of {name} does not describe {unnamed}"


# A network is a table of its paper, and a base has no formula of its own.
FORMULATED = sorted(set(DOCUMENTED) - set(discovery.builders()) - cases.ABSTRACT)


@pytest.mark.parametrize("name", FORMULATED)
def test_has_a_formula(name: str) -> None:
    text = "\n".join(lines_of(DOCUMENTED[name])).split("Args:")[0]
    formula = re.search(r"^ {4,}\S.*[=+*<>(~^]|`[^`]*[=(~|][^`]*`", text, re.MULTILINE)
    assert formula, f"docstring of {name} has no formula"


@pytest.mark.parametrize("name", EVERYTHING)
def test_has_a_summary(name: str) -> None:
    lines = lines_of(EVERYTHING[name])
    assert lines
    assert lines[0].rstrip().endswith((".", ":")) or len(lines) > 1


@pytest.mark.parametrize("name", EVERYTHING)
def test_example_runs(name: str) -> None:
    member = EVERYTHING[name]
    names = {**vars(sys.modules[member.__module__]), "burn_tf": burn_tf, "tf": tf}
    text = inspect.getdoc(member) or ""
    test = doctest.DocTestParser().get_doctest(text, names, name, None, 0)
    if has_section(member, "Example"):
        assert test.examples, f"the example of {name} has no >>> lines"
    report: list[str] = []
    outcome = doctest.DocTestRunner(verbose=False).run(test, out=report.append)
    assert outcome.failed == 0, "".join(report)
