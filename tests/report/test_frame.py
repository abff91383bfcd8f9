"""The frame of charts: colours that can be read, a layout that leaves room for its labels."""

from __future__ import annotations

import re

import pytest

from burn_tf.report.axis import make_axis
from burn_tf.report.frame import (
    DARK_COLOURS,
    LIGHT_COLOURS,
    WIDTH,
    colour,
    empty_chart,
    lay_out,
    legend,
    svg_document,
)


def _luminance(colour_: str) -> float:
    """Relative luminance of "#rrggbb", by the definition of WCAG 2."""
    channels = [int(colour_[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, other: str) -> float:
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize(
    ("colours", "card"), [(LIGHT_COLOURS, "#ffffff"), (DARK_COLOURS, "#1b2029")]
)
def test_every_colour_has_the_contrast_that_graphics_need(colours: tuple[str, ...], card: str):
    assert len(set(colours)) == 10
    assert min(_contrast(c, card) for c in colours) >= 3.0


def test_colours_repeat_after_ten():
    assert colour(3) == colour(13) == f"var(--series-4,{LIGHT_COLOURS[3]})"


def test_layout_leaves_room_for_the_widest_tick():
    x, y = make_axis([0, 1e6]), make_axis([0.0, 123_456_789.0])
    plot = lay_out(x, y, top=20.0, plot_height=100.0, labelled=True)
    assert plot.x.start >= 7 * max(map(len, y.labels))
    assert plot.x.end < WIDTH
    assert (plot.y.end, plot.y.start, plot.height) == (20.0, 120.0, 162.0)


def test_ten_digits_fit_in_one_row_of_the_legend():
    assert legend([str(i) for i in range(10)], [""] * 10)[1] == 18.0


def test_an_empty_legend_takes_no_height():
    assert legend([], [])[1] == 0.0


def test_identities_differ_with_content_and_are_stable():
    one, two = (svg_document("t", "d", 10.0, [body]) for body in ("<g/>", "<g></g>"))
    first, second = (re.findall(r'id="([^"]+)"', svg) for svg in (one, two))
    assert len(set(first + second)) == 4
    assert svg_document("t", "d", 10.0, ["<g/>"]) == one


def test_empty_chart_keeps_its_note():
    assert empty_chart("A", "why").note == "why"
