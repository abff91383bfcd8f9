"""Charts are read back from their SVG: every mark must stand where its value belongs.

The positions are computed here from the tick labels that a reader sees, not from the axis object.
"""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable

import numpy as np
import pytest

from burn_tf._checks import UserError
from burn_tf.report.charts import Chart, Series, bar_chart, line_chart, scatter_chart

_SVG = "{http://www.w3.org/2000/svg}"
Mapping_ = Callable[[float], float]


def _parse(chart: Chart) -> ElementTree.Element:
    assert not re.search(r'"[^"]*\b(nan|inf)\b[^"]*"', re.sub(r"<desc.*?</desc>", "", chart.svg))
    return ElementTree.fromstring(chart.svg)


def _found(root: ElementTree.Element, tag: str, class_: str | None = None) -> list:
    return [e for e in root.iter(_SVG + tag) if class_ is None or e.get("class") == class_]


def _value(label: str) -> float:
    return float(label[:-1]) * 1000 if label.endswith("k") else float(label)


def _scale(root: ElementTree.Element, axis: str, log: bool = False) -> Mapping_:
    """Value to pixel, from the first and the last tick label of the drawing."""
    ticks = _found(root, "text", f"tick-{axis}")
    shift = -4.0 if axis == "y" else 0.0  # the baseline of a y label stands 4 px below its line
    known = [(_value(str(t.text)), float(t.get(axis)) + shift) for t in ticks]
    (low, low_pixel), (high, high_pixel) = known[0], known[-1]
    change = math.log10 if log else float
    slope = (high_pixel - low_pixel) / (change(high) - change(low))
    return lambda value: low_pixel + (change(value) - change(low)) * slope


def _points(path: ElementTree.Element) -> list[tuple[float, float]]:
    pairs = re.findall(r"[ML](-?[\d.]+) (-?[\d.]+)", str(path.get("d")))
    return [(float(x), float(y)) for x, y in pairs]


@pytest.mark.parametrize("log", [False, True])
def test_a_line_stands_at_its_values(log: bool):
    x = [0.0, 120.0, 480.0, 1000.0]
    y = [0.031, 4.7, 0.9, 22.0]
    root = _parse(line_chart("Loss", [Series("kl", x, y)], log_y=log))
    to_x, to_y = _scale(root, "x"), _scale(root, "y", log)
    (path,) = _found(root, "path")
    expected = [(to_x(a), to_y(b)) for a, b in zip(x, y, strict=True)]
    np.testing.assert_allclose(_points(path), expected, atol=0.02)


def test_gaps_break_the_line_and_a_lone_point_is_a_dot():
    y = [1.0, 2.0, math.nan, 3.0, math.inf, 4.0, 5.0]
    root = _parse(line_chart("Gaps", [Series("a", range(7), y)]))
    (path,), (dots,) = _found(root, "path", "line"), _found(root, "path", "dots")
    assert "".join(re.findall(r"[ML]", str(path.get("d")))) == "MLML"
    to_x, to_y = _scale(root, "x"), _scale(root, "y")
    expected = [(to_x(i), to_y(y[i])) for i in (0, 1, 5, 6)]
    np.testing.assert_allclose(_points(path), expected, atol=0.02)
    np.testing.assert_allclose(_points(dots), [(to_x(3), to_y(3.0))], atol=0.02)
    assert "stroke-linecap:round" in str(dots.get("style"))


def test_a_log_axis_leaves_out_what_is_not_positive():
    chart = line_chart("Log", [Series("a", range(4), [1.0, 0.0, -3.0, 10.0])], log_y=True)
    root = _parse(chart)
    assert len(_points(_found(root, "path", "dots")[0])) == 2
    assert "2 values, first 1, last 10, 2 left out" in _found(root, "desc")[0].text


@pytest.mark.parametrize(
    "y", [[], [math.nan], [math.inf, -math.inf], [1e308, -1e308]], ids=lambda y: str(y)
)
def test_nothing_to_draw_says_so(y: list[float]):
    root = _parse(line_chart("Nothing", [Series("a", range(len(y)), y)]))
    assert [t.text for t in _found(root, "text")] == ["No data"]


def test_no_series_at_all():
    assert "No data" in line_chart("Nothing", []).svg


def test_a_series_without_values_beside_one_with_values():
    root = _parse(line_chart("Half", [Series("a", [], []), Series("b", [0, 1], [1, 2])]))
    assert len(_found(root, "path")) == 1
    assert "a: no value to show" in _found(root, "desc")[0].text


def test_a_long_series_is_thinned_without_losing_its_peak():
    y = np.random.default_rng(0).random(100_000)
    y[61_803] = 50.0
    chart = line_chart("Long", [Series("a", np.arange(100_000), y)], max_points=300)
    root = _parse(chart)
    points = _points(_found(root, "path")[0])
    assert 200 <= len(points) <= 300
    assert min(p[1] for p in points) == pytest.approx(_scale(root, "y")(50.0), abs=0.02)
    assert len(chart.svg) < 12_000


def test_smoothing_draws_the_mean_over_the_raw_line():
    y = np.where(np.arange(60) % 2 == 0, 0.0, 1.0)
    root = _parse(line_chart("Noisy", [Series("a", np.arange(60), y)], smooth=20))
    (raw,), (mean,) = _found(root, "path", "raw"), _found(root, "path", "line")
    middle = [p[1] for p in _points(mean)[15:45]]
    np.testing.assert_allclose(middle, _scale(root, "y")(0.5), atol=0.02)
    assert {p[1] for p in _points(raw)} == {p[1] for p in _points(raw)[:2]}


def test_marks_stand_at_their_step_and_crowded_names_become_tool_tips():
    marks = [(0.0, "stage 1"), (500.0, "stage 2"), (510.0, "stage 3"), (5000.0, "outside")]
    root = _parse(line_chart("M", [Series("a", [0, 1000], [0, 1])], marks=marks))
    to_x = _scale(root, "x")
    lines = _found(root, "line", "mark")
    np.testing.assert_allclose([float(e.get("x1")) for e in lines], [to_x(0), to_x(500), to_x(510)],
                               atol=0.02)  # fmt: skip
    assert [e[0].text for e in lines] == ["stage 1", "stage 2", "stage 3"]
    texts = [t.text for t in _found(root, "text")]
    assert "stage 1" in texts and "stage 2" not in texts and "stage 3" in texts


def test_the_svg_names_itself_to_screen_readers():
    root = _parse(line_chart("λ(t) & <more>", [Series("a", [0, 1], [1.5, 2])]))
    title, desc = _found(root, "title")[0], _found(root, "desc")[0]
    assert (title.text, root.get("role")) == ("λ(t) & <more>", "img")
    assert str(root.get("aria-labelledby")).split() == [title.get("id"), desc.get("id")]
    assert "2 values, first 1.5, last 2" in str(desc.text)


def test_hostile_names_are_text():
    name = '</text><script>alert("x")</script>\x00'
    charts = [
        line_chart(name, [Series(name, [0, 1], [0, 1])], x_label=name, y_label=name,
                   marks=[(0.0, name)]),
        scatter_chart(name, np.eye(2), [name, "b"], x_label=name),
        bar_chart(name, [name], {name: [1.0]}, unit=name),
    ]  # fmt: skip
    for chart in charts:
        assert not _found(_parse(chart), "script")


def _box(text: ElementTree.Element) -> tuple[float, float]:
    """Left and right of a text, at 0.6 em a character (DejaVu Sans, wider than most)."""
    width = len(str(text.text)) * 0.6 * 12
    x = float(str(text.get("x")))
    start = {"start": x, "middle": x - width / 2, "end": x - width}[str(text.get("text-anchor"))]
    return start, start + width


@pytest.mark.parametrize("scale", [1e-9, 1e-3, 1.0, 12345.0, 1e12])
def test_no_text_is_clipped(scale: float):
    y = np.linspace(-0.7, 1.0, 50) * scale
    root = _parse(line_chart("Wide", [Series("a", np.arange(50) * 777, y)], x_label="update"))
    width, height = (float(v) for v in str(root.get("viewBox")).split()[2:])
    for text in _found(root, "text"):
        if text.get("transform") is None and text.get("class") != "ink":
            left, right = _box(text)
            assert left > -6 and right < width + 6, text.text
            assert 8 < float(str(text.get("y"))) < height


def test_the_legend_wraps_and_stays_inside():
    names = [f"a rather long name {i}" for i in range(9)]
    root = _parse(line_chart("L", [Series(n, [0, 1], [0, 1]) for n in names]))
    group = _found(root, "g", "legend")[0]
    texts = [e for e in group if e.tag == _SVG + "text"]
    assert [t.text for t in texts] == names
    assert len({t.get("y") for t in texts}) >= 4
    assert all(_box(t)[1] <= 366 for t in texts)
    lowest = max(float(str(t.get("y"))) for t in texts)
    assert lowest < min(p[1] for path in _found(root, "path") for p in _points(path))


# Scatter --------------------------------------------------------------------------------------


@pytest.mark.parametrize("spread", [(6.0, 2.0), (2.0, 9.0), (30.0, 0.5)])
def test_points_stand_at_their_values_with_one_unit_on_both_axes(spread: tuple[float, float]):
    points = np.random.default_rng(0).standard_normal((40, 2)) * spread + [100.0, -3.0]
    labels = np.arange(40) % 3
    root = _parse(scatter_chart("S", points, labels))
    to_x, to_y = _scale(root, "x"), _scale(root, "y")
    assert to_x(101) - to_x(100) == pytest.approx(to_y(-3) - to_y(-2), rel=2e-3)
    groups = _found(root, "g", "points")
    assert [g[0].text for g in groups] == ["0 (14)", "1 (13)", "2 (13)"]
    _, _, width, height = (float(v) for v in str(root.get("viewBox")).split())
    assert 0.4 * width < height < 1.4 * width
    for c, group in enumerate(groups):
        drawn = [(float(e.get("cx")), float(e.get("cy"))) for e in group.iter(_SVG + "circle")]
        expected = [(to_x(x), to_y(y)) for x, y in points[labels == c]]
        np.testing.assert_allclose(drawn, expected, atol=0.03)
        assert all(20 < x < width and 18 < y < height - 20 for x, y in drawn)


def test_classes_are_named_ordered_and_told_apart():
    root = _parse(scatter_chart("S", np.random.rand(6, 2), [10, 2, -1, 2, 0, 10],
                                class_names=["zero", "one", "two"]))  # fmt: skip
    groups = _found(root, "g", "points")
    assert [str(g[0].text).rsplit(" ", 1)[0] for g in groups] == ["zero", "two", "10", "no label"]
    styles = [g[1].get("style") for g in groups]
    assert len(set(styles)) == 4 and "fill:none" in str(styles[-1])


def test_names_with_numbers_are_in_natural_order():
    labels = ["run 10", "run 2", "a", "run 2b"]
    groups = _found(_parse(scatter_chart("S", np.eye(4)[:, :2], labels)), "g", "points")
    assert [g[0].text for g in groups] == ["a (1)", "run 2 (1)", "run 2b (1)", "run 10 (1)"]


def test_lines_of_one_colour_differ_in_their_dashes():
    root = _parse(line_chart("L", [Series(str(i), [0, 1], [0, i]) for i in range(25)]))
    assert len({path.get("style") for path in _found(root, "path")}) == 25


def test_forty_classes_differ_in_colour_or_shape_and_the_legend_is_bounded():
    points = np.random.default_rng(0).random((80, 2))
    root = _parse(scatter_chart("S", points, np.arange(80) % 40))
    looks = {(g[1].tag, g[1].get("style"), str(g[1].get("points")).count(","))
             for g in _found(root, "g", "points")}  # fmt: skip
    assert len(looks) == 40
    names = [t.text for t in _found(root, "g", "legend")[0] if t.tag == _SVG + "text"]
    assert len(names) == 25 and names[-1] == "and 16 more"


def test_points_that_are_not_finite_are_left_out_and_counted():
    points = np.array([[0.0, 1.0], [np.nan, 1.0], [2.0, np.inf], [3.0, 3.0]])
    root = _parse(scatter_chart("S", points, [0, 1, 1, 0]))
    assert len(_found(root, "g", "points")[0].findall(_SVG + "circle")) == 2
    assert _found(root, "desc")[0].text == "2 points in 1 classes, 2 left out as not finite"


@pytest.mark.parametrize("points", [np.zeros((0, 2)), np.full((3, 2), np.nan)])
def test_a_scatter_of_nothing_says_so(points: np.ndarray):
    assert "No data" in scatter_chart("S", points, [0] * len(points)).svg


def test_equal_points_are_drawn():
    root = _parse(scatter_chart("S", np.full((3, 2), 5.0)))
    assert len(_found(root, "circle")) == 3


def test_scatter_refuses_other_shapes():
    with pytest.raises(UserError, match=r"\[N, 2\]. Received: shape \(3, 3\)"):
        scatter_chart("S", np.zeros((3, 3)))
    with pytest.raises(UserError, match=r"each of 3 points\. Received: 2"):
        scatter_chart("S", np.zeros((3, 2)), [0, 1])


# Bars -----------------------------------------------------------------------------------------


def _bars(root: ElementTree.Element) -> list[tuple[float, float]]:
    return [(float(b.get("x")), float(b.get("width"))) for b in _found(root, "rect", "bar")]


def test_bars_begin_at_zero_and_are_as_long_as_their_values():
    root = _parse(bar_chart("B", ["a", "b"], {"s": [50.0, 100.0], "t": [25.0, 0.0]}, unit=" %"))
    bars = _bars(root)
    assert {x for x, _ in bars} == {0.0}
    longest = bars[2][1]
    assert longest > 200
    np.testing.assert_allclose([w / longest for _, w in bars], [0.5, 0.25, 1.0, 0.0], atol=1e-4)
    texts = [t.text for t in _found(root, "text")]
    assert texts == ["s", "t", "a", "50 %", "25 %", "b", "100 %", "0 %"]


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_bars_reach_to_zero_also_when_no_value_is_near_it(sign: float):
    (x, width), (x2, width2) = _bars(
        _parse(bar_chart("B", ["a", "b"], {"s": [sign * 90, sign * 96]}))
    )
    assert width / width2 == pytest.approx(90 / 96, rel=1e-3)
    assert x == x2 == 0.0 if sign > 0 else x + width == pytest.approx(x2 + width2)


def test_negative_bars_end_at_zero():
    (x, width), (x2, width2) = _bars(_parse(bar_chart("B", ["a", "b"], {"s": [-1.0, 3.0]})))
    assert x + width == pytest.approx(x2)
    assert width2 / width == pytest.approx(3.0, rel=1e-3)


def test_missing_bar_values_read_not_available():
    root = _parse(bar_chart("B", ["a", "b", "c"], {"s": [None, math.nan, 2.0]}))
    assert [t.text for t in _found(root, "text")] == ["a", "n/a", "b", "n/a", "c", "2"]


def test_bars_that_are_all_zero_stand_at_the_left():
    for other in (0.0, math.inf, None):
        chart = bar_chart("B", ["a", "b"], {"s": [0.0, other]})
        assert _bars(_parse(chart)) == [(0.0, 0.0)] * 2


@pytest.mark.parametrize("values", [{}, {"s": []}, {"s": [None]}])
def test_bars_of_nothing_say_so(values: dict):
    labels = [] if not values or not values["s"] else ["a"]
    assert "No data" in bar_chart("B", labels, values).svg


def test_bars_refuse_a_series_of_another_length():
    with pytest.raises(UserError, match=r"`values\['s'\]`.*2 labels. Received: 1"):
        bar_chart("B", ["a", "b"], {"s": [1.0]})


def test_equal_calls_give_equal_text():
    assert line_chart("A", [Series("a", [0, 1], [1, 2])]) == line_chart(
        "A", [Series("a", [0, 1], [1, 2])]
    )
