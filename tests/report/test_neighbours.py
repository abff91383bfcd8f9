"""Neighbours are shown in their order, with their names, and marked where the class differs."""

from __future__ import annotations

import numpy as np
import pytest

from burn_tf._checks import UserError
from burn_tf.report.neighbours import neighbour_section

QUERIES = np.arange(2 * 3 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3, 3)
BANK = 100 + np.arange(4 * 3 * 3 * 3, dtype=np.uint8).reshape(4, 3, 3, 3)
INDICES = np.array([[2, 0], [3, 1]])
SIMILARITIES = np.array([[0.99, 0.5], [1.0, -0.25]])


def test_pictures_stand_in_their_order() -> None:
    section = neighbour_section(INDICES, SIMILARITIES, queries=QUERIES, bank=BANK)
    for strip, query, nearest in zip(section.strips, QUERIES, INDICES, strict=True):
        np.testing.assert_array_equal(strip.first.pixels, query)
        for picture, index in zip(strip.others, nearest, strict=True):
            np.testing.assert_array_equal(picture.pixels, BANK[index])
    assert [[p.caption for p in strip.others] for strip in section.strips] == [
        ["0.99", "0.50"],
        ["1.00", "-0.25"],
    ]
    assert [strip.first.caption for strip in section.strips] == ["image 1", "image 2"]
    assert not any(p.other for strip in section.strips for p in strip.others)


def test_another_class_is_marked_in_words_and_with_a_frame() -> None:
    section = neighbour_section(
        INDICES, SIMILARITIES, queries=QUERIES, bank=BANK,
        query_labels=np.array([0, 1]), bank_labels=np.array([1, 1, 0, -1]),
        class_names=["cat", "dog"],
    )  # fmt: skip
    first, second = section.strips
    assert (first.first.caption, second.first.caption) == ("cat", "dog")
    assert [(p.caption, p.other) for p in first.others] == [
        ("cat · 0.99", False),
        ("dog · 0.50, another class", True),
    ]
    # An image without a label is of no other class.
    assert [(p.caption, p.other) for p in second.others] == [
        ("1.00", False),
        ("dog · -0.25", False),
    ]


def test_images_of_several_classes_belong_where_they_share_one() -> None:
    section = neighbour_section(
        INDICES, SIMILARITIES, queries=QUERIES, bank=BANK,
        query_labels=np.array([[1, 1, 0], [0, -1, 0]]),
        bank_labels=np.array([[0, -1, 1], [0, 0, 1], [0, 1, 1], [1, 0, 0]]),
    )  # fmt: skip
    first, second = section.strips
    assert first.first.caption == "0, 1" and second.first.caption == "image 2"
    assert [(p.caption, p.other) for p in first.others] == [
        ("1, 2 · 0.99", False),
        ("2 · 0.50, another class", True),
    ]
    assert not any(p.other for p in second.others)


@pytest.mark.parametrize(("rows", "queries"), [(2, 1), (1, 2)])
def test_shapes_that_do_not_fit(rows: int, queries: int) -> None:
    with pytest.raises(UserError, match=r"must be \[Q, k\] for Q queries"):
        neighbour_section(INDICES[:rows], SIMILARITIES[:rows], queries=QUERIES[:queries], bank=BANK)
    with pytest.raises(UserError, match=r"Received: shapes \(2, 2\) and \(2, 1\)"):
        neighbour_section(INDICES, SIMILARITIES[:, :1], queries=QUERIES, bank=BANK)
