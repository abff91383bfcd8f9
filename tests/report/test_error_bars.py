"""Every point and interval stands where the axes say, beside its neighbour and never upon it."""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree

import numpy as np
import pytest

from burn_tf._checks import UserError
from burn_tf.report.error_bars import Measured, error_bar_chart
from burn_tf.report.frame import Chart

_SVG = "{http://www.w3.org/2000/svg}"
SHOTS = [1, 2, 4, 8, 16, 32, 64, 96]


def line(name: str = "BURN", offset: float = 0.0) -> Measured:
    y = np.linspace(20.0, 60.0, 8) + offset
    return Measured(name, SHOTS, y, y - 2.0, y + 2.0)


def numbers(text: str) -> list[float]:
    return [float(part) for part in re.findall(r"-?\d+(?:\.\d+)?", text)]


def dots(chart: Chart) -> np.ndarray:
    """Centres of the points, without those of the legend."""
    circles = ElementTree.fromstring(chart.svg).findall(f"{_SVG}circle")
    return np.array([[float(c.attrib["cx"]), float(c.attrib["cy"])] for c in circles])


def intervals(chart: Chart) -> np.ndarray:
    """x, low and high of each interval, in pixels."""
    paths = ElementTree.fromstring(chart.svg).findall(f"{_SVG}path[@class='interval']")
    return np.array([numbers(path.attrib["d"])[:3] for path in paths])


def ticks(chart: Chart, axis: str) -> list[str]:
    return re.findall(rf'class="tick-{axis}">([^<]*)<', chart.svg)


def said(chart: Chart) -> str:
    found = re.search(r"<desc[^>]*>(.*?)</desc>", chart.svg)
    assert found is not None
    return found.group(1)


def test_points_lie_on_a_logarithmic_axis() -> None:
    places = dots(error_bar_chart("Few shots", [line()], log_x=True))
    steps = np.diff(places[:, 0])
    np.testing.assert_allclose(steps[:6], steps[0], atol=0.02)
    assert steps[6] / steps[0] == pytest.approx(math.log2(1.5), abs=1e-3)
    np.testing.assert_allclose(np.diff(places[:, 1], 2), 0.0, atol=0.03)


def test_an_interval_is_as_long_as_the_axis_says() -> None:
    chart = error_bar_chart("Few shots", [line()], log_x=True)
    places, bars = dots(chart), intervals(chart)
    np.testing.assert_allclose(bars[:, 0], places[:, 0])
    per_unit = (places[0, 1] - places[-1, 1]) / 40.0
    np.testing.assert_allclose(bars[:, 1] - places[:, 1], 2.0 * per_unit, atol=0.03)
    np.testing.assert_allclose(places[:, 1] - bars[:, 2], 2.0 * per_unit, atol=0.03)


def test_every_measured_place_has_a_tick_where_there_is_room() -> None:
    assert ticks(error_bar_chart("t", [line()], log_x=True), "x") == [str(k) for k in SHOTS]
    close = Measured("a", [100, 101, 1000], [1, 2, 3], [0, 1, 2], [2, 3, 4])
    assert ticks(error_bar_chart("t", [close], log_x=True), "x") == ["100", "1000"]


def test_series_stand_beside_each_other() -> None:
    chart = error_bar_chart("t", [line("a"), line("b"), line("c")], log_x=True)
    places = dots(chart).reshape(3, 8, 2)
    assert (np.diff(places[:, :, 0], axis=0) >= 3.9).all()
    np.testing.assert_allclose(places[1, :, 0], dots(error_bar_chart("t", [line()], log_x=True))
                               [:, 0], atol=0.01)  # fmt: skip


def test_points_come_in_the_order_of_x() -> None:
    shuffled = Measured("a", [4, 1, 2], [3.0, 1.0, 2.0], [3, 1, 2], [3, 1, 2])
    chart = error_bar_chart("t", [shuffled])
    assert (np.diff(dots(chart)[:, 0]) > 0).all()
    assert said(chart) == "a: 1 at 1, 2 at 2, 3 at 4"


def test_what_cannot_be_drawn_is_left_out() -> None:
    nan = math.nan
    chart = error_bar_chart(
        "t", [Measured("a", [0, 1, 2, 3], [9, 1, nan, 3], [8, nan, 1, 2], [9, 2, 3, math.inf])],
        log_x=True,
    )  # fmt: skip
    assert len(dots(chart)) == 2 and len(intervals(chart)) == 0
    assert "nan" not in chart.svg.lower() and "inf" not in chart.svg.lower()


def test_one_point_and_none() -> None:
    one = error_bar_chart("t", [Measured("a", [5], [50], [40], [60])], log_x=True)
    assert len(dots(one)) == 1 and said(one) == "a: 50 at 5 (40 to 60)"
    for nothing in ([], [Measured("a", [], [], [], [])]):
        assert "No data" in error_bar_chart("t", nothing).svg
    mixed = error_bar_chart("t", [Measured("none", [], [], [], []), line()])
    assert len(dots(mixed)) == 8 and said(mixed).startswith("none: no value to show; BURN: 20 at 1")


def test_columns_of_unequal_length_are_refused() -> None:
    with pytest.raises(UserError, match=r"'a' needs x, y, low and high.*Received: shapes \(2,\)"):
        error_bar_chart("t", [Measured("a", [1, 2], [1, 2], [1], [1, 2])])


def test_names_are_escaped() -> None:
    chart = error_bar_chart("<t>", [Measured("<a>&", [1], [1], [0], [2])], x_label="<x>")
    ElementTree.fromstring(chart.svg)
    assert "&lt;a&gt;&amp;" in chart.svg
