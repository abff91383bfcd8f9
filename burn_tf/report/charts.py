"""Charts as inline SVG: lines, points by class, and horizontal bars. No script, no network."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

import numpy as np

from burn_tf._checks import UserError
from burn_tf.report.axis import LARGEST, Axis, drawable, make_axis
from burn_tf.report.frame import (
    LINE_HEIGHT,
    WIDTH,
    Chart,
    Plot,
    colour,
    draw_axes,
    empty_chart,
    lay_out,
    legend,
    svg_document,
)
from burn_tf.report.numbers import format_column, format_value, is_number
from burn_tf.report.series import Series, running_mean, thin
from burn_tf.report.svg import clean, element, escaped, fit_text, label, number, text_width

__all__ = ["Chart", "Series", "bar_chart", "line_chart", "scatter_chart"]

_MAX_LEGEND = 24
_BAR = 13.0
_NAME_HEIGHT = 31.0


def line_chart(
    title: str,
    series: Sequence[Series],
    *,
    x_label: str = "",
    y_label: str = "",
    log_y: bool = False,
    from_zero: bool = False,
    marks: Sequence[tuple[float, str]] = (),
    smooth: int = 1,
    max_points: int = 400,
    note: str = "",
) -> Chart:
    """Draws several lines over one x axis.

    Args:
        title: heading; also the name that screen readers say.
        series: lines; values that are not finite (or not positive on a log axis) leave gaps.
        x_label, y_label: names of the axes with their units.
        log_y: logarithmic y axis.
        from_zero: the linear y axis holds zero.
        marks: (x, name) of upright lines, such as the beginning of a stage.
        smooth: window of a centred running mean drawn over the pale raw line; 1: raw line only.
        max_points: most points drawn per line; peaks survive the thinning.
        note: text under the chart.

    Returns:
        A `Chart`. Without a value to draw it says "No data".

    Raises:
        UserError: x and y of a series differ in length.

    Example:
        >>> import math
        >>> chart = line_chart("Loss", [Series("kl", [0, 1, 2], [3.0, math.nan, 1.0])])
        >>> chart.svg.startswith("<svg") and "NaN" not in chart.svg
        True
    """
    lines = [(s.name, *_masked(s, log_y)) for s in series]
    shown = [y[np.isfinite(y)] for _, _, y in lines]
    if not any(len(values) for values in shown):
        return empty_chart(title, note)
    x_axis = make_axis(np.concatenate([x for _, x, _ in lines]), tight=True)
    y_axis = make_axis(np.concatenate(shown), log=log_y, from_zero=from_zero)
    swatches = [_line_swatch(index) for index in range(len(lines))]
    key, key_height = legend([name for name, _, _ in lines], swatches)
    top = key_height + (_NAME_HEIGHT if y_label else 10) + (16 if marks else 0)
    plot = lay_out(x_axis, y_axis, top=top, plot_height=190.0, labelled=bool(x_label))
    body = [key, draw_axes(plot, x_label, y_label, key_height + 17), _draw_marks(plot, marks)]
    for index, (_, x, y) in enumerate(lines):
        body.append(_draw_line(plot, x, y, index, smooth, max_points))
    text = "; ".join(_say_line(name, x, y) for name, x, y in lines)
    return Chart(title, svg_document(title, text, plot.height, body), note)


def _masked(series: Series, log: bool) -> tuple[np.ndarray, np.ndarray]:
    x, y = series.arrays()
    keep = drawable(x)
    x, y = x[keep], y[keep]
    return x, np.where(drawable(y, log), y, np.nan)


def _line_swatch(index: int) -> str:
    style = f"stroke:{colour(index)};stroke-width:3;stroke-linecap:round{_dashes(index)}"
    return element("line", x1=-7.0, x2=7.0, y1=0.0, y2=0.0, style=style)


def _dashes(index: int) -> str:
    """Tells lines of one colour apart: the colours repeat after ten."""
    return ("", ";stroke-dasharray:6 5", ";stroke-dasharray:1 5")[index // 10 % 3]


def _draw_line(
    plot: Plot, x: np.ndarray, y: np.ndarray, index: int, smooth: int, max_points: int
) -> str:
    if smooth <= 1:
        return _path(plot, *thin(x, y, max_points), index, "line", "stroke-width:2")
    raw = _path(plot, *thin(x, y, max_points), index, "raw", "stroke-width:1;opacity:.3")
    mean = running_mean(y, smooth)
    return raw + _path(plot, *thin(x, mean, max_points), index, "line", "stroke-width:2")


def _path(plot: Plot, x: np.ndarray, y: np.ndarray, index: int, class_: str, style: str) -> str:
    """One path in which a gap begins a new part; a lone point between gaps becomes a dot."""
    line, dots, pen_down = "", "", False
    for i in range(len(x)):
        if not math.isfinite(y[i]):
            pen_down = False
            continue
        at = " ".join(number(pixel) for pixel in plot.inside(x[i], y[i]))
        if not pen_down and (i + 1 == len(x) or not math.isfinite(y[i + 1])):
            dots += f"M{at}h0"
        else:
            line += f"{'L' if pen_down else 'M'}{at}"
            pen_down = True
    pen = f"fill:none;stroke:{colour(index)};stroke-linejoin:round;stroke-linecap:round;"
    parts = element("path", d=line, style=f"{pen}{style}{_dashes(index)}", class_=class_) * bool(
        line
    )
    return parts + element("path", d=dots, style=f"{pen}stroke-width:5", class_="dots") * bool(dots)


def _draw_marks(plot: Plot, marks: Sequence[tuple[float, str]]) -> str:
    """Upright dashed lines; a name that would run into the next mark is only a tool tip."""
    inside = sorted(m for m in marks if plot.x.low <= m[0] <= plot.x.high)
    limits = [plot.x.pixel(x) for x, _ in inside[1:]] + [WIDTH]
    parts = []
    style = "stroke:var(--axis,#9aa3b2);stroke-dasharray:3 3"
    for (value, name), limit in zip(inside, limits[: len(inside)], strict=True):
        x = plot.x.pixel(value)
        line = element(
            "line", element("title", escaped(name)), x1=x, x2=x, y1=plot.y.end - 4,
            y2=plot.y.start, style=style, class_="mark",
        )  # fmt: skip
        fits = text_width(name) <= limit - x - 2
        parts.append(line + (label(name, x, plot.y.end - 9) if fits else ""))
    return "".join(parts)


def _say_line(name: str, x: np.ndarray, y: np.ndarray) -> str:
    finite = np.isfinite(y)
    if not finite.any():
        return f"{name}: no value to show"
    values = y[finite]
    first, last = format_value(float(values[0])), format_value(float(values[-1]))
    missing = int((~finite).sum())
    gaps = f", {missing} left out as not finite or not positive" if missing else ""
    return f"{name}: {len(values)} values, first {first}, last {last}{gaps}"


def scatter_chart(
    title: str,
    points: np.ndarray,
    labels: Sequence[int | str] | np.ndarray | None = None,
    *,
    class_names: Sequence[str] | None = None,
    x_label: str = "",
    y_label: str = "",
    note: str = "",
) -> Chart:
    """Draws points in the plane, coloured by class, both axes in the same unit per pixel.

    Args:
        title: heading; also the name that screen readers say.
        points: float [N, 2]; rows that are not finite are left out and counted.
        labels: [N] class numbers or names; None: one colour. -1 means "no label".
        class_names: name of class 0, 1, ...; None: the labels themselves.
        x_label, y_label: names of the axes.
        note: text under the chart.

    Raises:
        UserError: `points` is not [N, 2], or `labels` has another length.

    Example:
        >>> chart = scatter_chart("Two", np.array([[0.0, 0.0], [1.0, 2.0]]), [0, 1])
        >>> chart.svg.count("<circle")  # two points and two signs of the legend
        4
    """
    points = np.asarray(points, np.float64)
    if points.ndim != 2 or points.shape[1] != 2:
        raise UserError(f"`points` must have shape [N, 2]. Received: shape {points.shape}")
    given = [0] * len(points) if labels is None else list(labels)
    if len(given) != len(points):
        raise UserError(
            f"`labels` must have one entry for each of {len(points)} points. Received: {len(given)}"
        )
    keep = drawable(points).all(axis=1)
    if not keep.any():
        return empty_chart(title, note)
    groups = _groups(points[keep], [given[i] for i in np.flatnonzero(keep)], class_names)
    key, key_height = _class_legend(list(groups)) if labels is not None else ("", 0.0)
    top = key_height + (_NAME_HEIGHT if y_label else 10)
    plot = _square_plot(points[keep], top, bool(x_label))
    body = [key, draw_axes(plot, x_label, y_label, key_height + 17)]
    body += [_draw_group(plot, name, rows, i) for i, (name, rows) in enumerate(groups.items())]
    gone = int((~keep).sum())
    text = f"{int(keep.sum())} points in {len(groups)} classes"
    text += f", {gone} left out as not finite" if gone else ""
    return Chart(title, svg_document(title, text, plot.height, body), note)


def _groups(
    points: np.ndarray, labels: Sequence[int | str], class_names: Sequence[str] | None
) -> dict[str, np.ndarray]:
    """Returns the rows of each class; numbers ascend, then names, and the unlabelled come last."""
    plain = [int(c) if is_number(c) else str(c) for c in labels]
    unique = sorted(set(plain), key=lambda c: (c == -1, isinstance(c, str), _natural(str(c))))
    named = {c: _class_name(c, class_names) for c in unique}
    mine = np.array([named[c] for c in plain])
    return {name: points[mine == name] for name in dict.fromkeys(named.values())}


def _natural(text: str) -> list[tuple[int, str]]:
    """Sorting key that puts "class 2" before "class 10"."""
    return [(int(t), "") if t.isdecimal() else (-1, t) for t in re.split(r"(\d+)", text)]


def _class_name(label_: int | str, class_names: Sequence[str] | None) -> str:
    if label_ == -1:
        return "no label"
    if isinstance(label_, int) and class_names is not None and 0 <= label_ < len(class_names):
        return clean(class_names[label_])
    return clean(label_)


def _class_legend(names: list[str]) -> tuple[str, float]:
    shown = names[:_MAX_LEGEND]
    swatches = [_marker(name, i, 0.0, 0.0, 5.0) for i, name in enumerate(shown)]
    if len(names) > len(shown):
        shown, swatches = [*shown, f"and {len(names) - _MAX_LEGEND} more"], [*swatches, ""]
    return legend(shown, swatches)


def _marker(name: str, index: int, x: float, y: float, size: float) -> str:
    """A sign of class `index`: ten colours in each of four shapes; grey rings for "no label"."""
    if name == "no label":
        style = "fill:none;stroke:var(--muted,#5b6472)"
        return element("circle", cx=x, cy=y, r=size, style=style)
    style, shape = f"fill:{colour(index)}", index // 10 % 4
    if shape == 0:
        return element("circle", cx=x, cy=y, r=size, style=style)
    if shape == 1:
        side = 2 * size
        return element("rect", x=x - size, y=y - size, width=side, height=side, style=style)
    corners = [(0.0, -1.2), (1.1, 0.8), (-1.1, 0.8)]
    if shape == 3:
        corners = [(0.0, -1.3), (1.3, 0.0), (0.0, 1.3), (-1.3, 0.0)]
    at = " ".join(f"{number(x + dx * size)},{number(y + dy * size)}" for dx, dy in corners)
    return element("polygon", points=at, style=style)


def _draw_group(plot: Plot, name: str, rows: np.ndarray, index: int) -> str:
    marks = [_marker(name, index, *plot.inside(row[0], row[1]), 3.0) for row in rows]
    title = element("title", escaped(f"{name} ({len(rows)})"))
    return element("g", title + "".join(marks), class_="points", style="opacity:.8")


def _square_plot(points: np.ndarray, top: float, labelled: bool) -> Plot:
    """Places axes so that one unit is equally long on both; the plot is as flat as the points."""
    x_axis, y_axis = (make_axis(points[:, i], count=4, tight=True) for i in (0, 1))
    plot = lay_out(x_axis, y_axis, top=top, plot_height=1.0, labelled=labelled)
    width = plot.x.end - plot.x.start
    spans = [(axis.high - axis.low) * 1.06 for axis in (x_axis, y_axis)]
    height = min(max(width * (spans[1] / spans[0]), 0.5 * width), width)
    unit = max(spans[0] / width, spans[1] / height)
    # The wider ranges may have wider tick labels, hence the same layout again with them.
    x_axis, y_axis = (
        _around(axis, unit * pixels) for axis, pixels in ((x_axis, width), (y_axis, height))
    )
    plot = lay_out(x_axis, y_axis, top=top, plot_height=height, labelled=labelled)
    stretch = (plot.x.end - plot.x.start) / width
    return lay_out(x_axis, y_axis, top=top, plot_height=height * stretch, labelled=labelled)


def _around(axis: Axis, span: float) -> Axis:
    middle = (axis.low + axis.high) / 2
    return make_axis([middle - span / 2, middle + span / 2], count=4, tight=True)


def bar_chart(
    title: str,
    labels: Sequence[str],
    values: Mapping[str, Sequence[float | None]],
    *,
    unit: str = "",
    note: str = "",
) -> Chart:
    """Draws horizontal bars from zero, one group per label, with the value written behind each.

    Args:
        title: heading; also the name that screen readers say.
        labels: name of each group, drawn above its bars.
        values: per series as many values as labels; None or not finite reads "n/a".
        unit: written behind every value, such as "%".
        note: text under the chart.

    Raises:
        UserError: a series has not one value per label.

    Example:
        >>> chart = bar_chart("Probes", ["raw pixels", "BURN"], {"top-1": [91.2, 95.0]}, unit=" %")
        >>> "95.0 %" in chart.svg
        True
    """
    for name, column in values.items():
        if len(column) != len(labels):
            raise UserError(
                f"`values[{name!r}]` must have one value for each of {len(labels)} labels. "
                f"Received: {len(column)}"
            )
    table = np.array([[_plain(v) for v in column] for column in values.values()])
    if not drawable(table).any():
        return empty_chart(title, note)
    texts = _bar_texts(table, unit)
    # With zero among the values the axis holds it; without any other value it needs a length.
    finite = np.where(drawable(table), table, 0.0).ravel()
    axis = make_axis([*finite, 0.0 if finite.any() else 1.0], tight=True)
    reserved = max(text_width(text) for row in texts for text in row) + 8
    axis = axis.placed(0.0, WIDTH - reserved)
    key, y = legend(list(values), [_bar_swatch(i) for i in range(len(values))])
    if len(values) == 1:
        key, y = "", -4.0
    y += 4
    body, said = [key], []
    for row, name in enumerate(labels):
        body.append(label(fit_text(name, WIDTH), 0.0, y + 14, class_="ink"))
        y += LINE_HEIGHT + 2
        for index, series_name in enumerate(values):
            body.append(_draw_bar(axis, table[index, row], texts[index][row], y, index))
            said.append(f"{name}, {series_name}: {texts[index][row]}")
            y += _BAR + 4
        y += 6
    return Chart(title, svg_document(title, "; ".join(said), y, body), note)


def _plain(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _bar_texts(table: np.ndarray, unit: str) -> list[list[str]]:
    flat = format_column([float(v) for v in table.ravel()])
    known = drawable(table).ravel()
    shown = [text + unit if ok else "n/a" for text, ok in zip(flat, known, strict=True)]
    width = table.shape[1]
    return [shown[i : i + width] for i in range(0, len(shown), width)]


def _bar_swatch(index: int) -> str:
    style = f"fill:{colour(index)}"
    return element("rect", x=-6.0, y=-5.0, width=12.0, height=10.0, rx=2.0, style=style)


def _draw_bar(axis: Axis, value: float, text: str, y: float, index: int) -> str:
    zero = axis.pixel(0.0)
    end = axis.pixel(value) if math.isfinite(value) and abs(value) < LARGEST else zero
    left, right = min(zero, end), max(zero, end)
    bar = element(
        "rect", x=left, y=y, width=right - left, height=_BAR, rx=2.0,
        style=f"fill:{colour(index)}", class_="bar",
    )  # fmt: skip
    return bar + label(text, right + 5, y + _BAR - 2, class_="ink")
