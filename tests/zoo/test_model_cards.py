"""A card is the file beside the manifest; its facts are the manifest's."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from burn_tf._checks import UserError
from burn_tf.recipes.base import Network
from tests.zoo.tiny import tiny_entry
from zoo import manifest, model_cards
from zoo.manifest import Floor, Measured, Metric, Reported


@pytest.fixture
def full_entry(tiny_network: Network) -> Any:
    measured = Measured("2026-11-21", "burn-tf evaluate a|b", "0123abcdef", "x86_64, 2 cores")
    return tiny_entry(
        tiny_network,
        b"x" * 1234,
        settings=("epochs=3", "stages=both"),
        metrics=(
            Metric("this model", "cifar10", "linear:fast", "top1", 40.5, measured=measured),
            Metric("paper", "imagenet", "linear", "top1", 62.29, reported=Reported("Table 1")),
        ),
        floor=Floor("cifar10", "linear:fast", "top1", 38.5, 5000, 1000),
    )


def test_reads_the_file(tiny_zoo: Path) -> None:
    (tiny_zoo / "cards" / "tiny.md").write_text("# Tiny, größer\n", encoding="utf-8")
    assert model_cards.card("tiny") == "# Tiny, größer\n"


@pytest.mark.parametrize("name", ["tyni", "../../README", "tiny/../tiny"])
def test_only_names_of_the_manifest(name: str, tiny_zoo: Path) -> None:
    with pytest.raises(UserError, match="`name` must be one of 'tiny'"):
        model_cards.card(name)


def test_facts(full_entry: Any) -> None:
    text = model_cards.new_card(full_entry)
    for line in (
        "# tiny",
        "| recipe | `burn_digits` `epochs=3` `stages=both` |",
        "| network | reactnet_tiny, width 2, stem stride 2, pad value 0 |",
        "| input | 24 x 24 pixels, RGB; (pixel / 255 - (0.5, 0.4, 0.3)) / (0.2, 0.25, 0.5) |",
        "| paper | [A title](https://arxiv.org/abs/2110.08851) |",
        "| this model | cifar10 | linear:fast | top1 | 40.50 | measured 2026-11-21, "
        "`burn-tf evaluate a/b`, commit 0123abc, x86_64, 2 cores |",
        "| paper | imagenet | linear | top1 | 62.29 | reported: Table 1 |",
    ):
        assert line in text.splitlines()
    assert f"1,234 bytes, SHA-256 `{full_entry.file().sha256}`" in text
    assert "top1 of at least 38.5 % on cifar10, fitted on 5,000 images, scored on 1,000." in text
    # Every row of a table has as many cells as its head.
    for table in text.split("\n\n"):
        rows = [line.count("|") for line in table.splitlines() if line.startswith("|")]
        assert len(set(rows)) <= 1


def test_prose_stays_when_facts_change(full_entry: Any) -> None:
    text = model_cards.new_card(full_entry).replace(full_entry.summary, "Before.") + "\nAfter.\n"
    changed = dataclasses.replace(full_entry, data="other images", metrics=())
    again = model_cards.with_facts(text, changed)
    assert again.startswith("# tiny\n\nBefore.\n\n") and again.endswith("\nAfter.\n")
    assert "| data | other images |" in again and "linear:fast | top1 |" not in again
    assert model_cards.with_facts(again, full_entry) == text


def test_without_its_marks(full_entry: Any) -> None:
    with pytest.raises(UserError, match="must have the lines"):
        model_cards.with_facts("# Tiny\n", full_entry)


def test_shipped_cards_say_what_the_manifest_says() -> None:
    for name, entry in manifest.read_manifest().items():
        text = model_cards.card(name)
        assert model_cards.with_facts(text, entry) == text, f"python -m zoo.publish --name {name}"
