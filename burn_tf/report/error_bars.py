"""Points with an interval each, joined by lines: figures over draws or seeds."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from burn_tf._checks import UserError
from burn_tf.report.axis import Axis, drawable, make_axis
from burn_tf.report.frame import (
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
from burn_tf.report.numbers import format_value
from burn_tf.report.series import Series
from burn_tf.report.svg import element, number, text_width

_HEIGHT, _NAME_HEIGHT = 200.0, 31.0
_CAP, _DOT, _BESIDE = 3.5, 3.2, 4.0
_MOST_TICKS = 12


@dataclasses.dataclass(frozen=True)
class Measured(Series):
    """A line of measured points.

    Args:
        name, x, y: as in `Series`.
        low, high: ends of each point's interval; where one is not finite only the point is drawn.
    """

    low: Sequence[float] | np.ndarray
    high: Sequence[float] | np.ndarray

    def points(self, log_x: bool = False) -> np.ndarray:
        """Returns float64 [N, 4]: x, y, low, high of the points that can be drawn, by x."""
        columns = [np.asarray(c, np.float64) for c in (self.x, self.y, self.low, self.high)]
        shapes = [column.shape for column in columns]
        if columns[0].ndim != 1 or len(set(shapes)) > 1:
            raise UserError(
                f"Series {self.name!r} needs x, y, low and high of one dimension and equal length. "
                f"Received: shapes {', '.join(map(str, shapes))}"
            )
        rows = np.stack(columns, axis=1)
        rows = rows[drawable(rows[:, 0], log_x) & drawable(rows[:, 1])]
        without = ~drawable(rows[:, 2:]).all(axis=1)
        rows[without, 2:] = rows[without, 1:2]
        return rows[np.argsort(rows[:, 0], kind="stable")]


def error_bar_chart(
    title: str,
    series: Sequence[Measured],
    *,
    x_label: str = "",
    y_label: str = "",
    log_x: bool = False,
    note: str = "",
) -> Chart:
    """Draws points with intervals, the points of a series joined by a line.

    Points of several series at one x stand a little beside each other, so that no interval hides
    another.

    Args:
        title: heading; also the name that screen readers say.
        series: lines; points that are not finite (or not positive on a log axis) are left out.
        x_label, y_label: names of the axes with their units.
        log_x: logarithmic x axis.
        note: text under the chart.

    Returns:
        A `Chart`. Without a point to draw it says "No data".

    Raises:
        UserError: the columns of a series differ in length.

    Example:
        >>> line = Measured("BURN", [1, 2], [20.0, 30.0], [18.0, 29.0], [22.0, 31.0])
        >>> error_bar_chart("Few shots", [line], log_x=True).svg.count("<circle")
        3
    """
    lines = [(line.name, line.points(log_x)) for line in series]
    shown = [rows for _, rows in lines if len(rows)]
    if not shown:
        return empty_chart(title, note)
    every = np.concatenate(shown)
    key, top = legend([name for name, _ in lines], [_swatch(i) for i in range(len(lines))])
    name_at, top = top + 17, top + (_NAME_HEIGHT if y_label else 10.0)
    x_axis = _x_axis(every[:, 0], log_x)
    y_axis = make_axis(every[:, 1:].ravel())
    plot = lay_out(x_axis, y_axis, top=top, plot_height=_HEIGHT, labelled=bool(x_label))
    body = [key, draw_axes(plot, x_label, y_label, name_at)]
    for index, (_, rows) in enumerate(lines):
        beside = (index - (len(lines) - 1) / 2) * min(_BESIDE, 16.0 / len(lines))
        body.append(_draw(plot, rows, index, beside))
    text = "; ".join(_say(name, rows) for name, rows in lines)
    return Chart(title, svg_document(title, text, plot.height, body), note)


def _x_axis(values: np.ndarray, log: bool) -> Axis:
    """An axis whose ticks are the measured values, as far as their labels find room."""
    axis = make_axis(values, log=log)
    places = sorted(set(values.tolist()))
    if not log or not 1 < len(places) <= _MOST_TICKS:
        return axis
    placed, kept, end = axis.placed(0.0, WIDTH - 60), [], -math.inf
    for value in places:
        half = text_width(format_value(value)) / 2
        if placed.pixel(value) - half > end + 4:
            kept.append(value)
            end = placed.pixel(value) + half
    labels = tuple(format_value(value) for value in kept)
    return dataclasses.replace(axis, ticks=tuple(kept), labels=labels)


def _swatch(index: int) -> str:
    line = element("line", x1=-7.0, x2=7.0, y1=0.0, y2=0.0, style=f"stroke:{colour(index)}")
    return line + _dot(0.0, 0.0, index)


def _dot(x: float, y: float, index: int) -> str:
    return element("circle", cx=x, cy=y, r=_DOT, style=f"fill:{colour(index)}")


def _draw(plot: Plot, rows: np.ndarray, index: int, beside: float) -> str:
    """The line of a series, then its intervals and points."""
    places = [(plot.x.pixel(x) + beside, *map(plot.y.pixel, rest)) for x, *rest in rows.tolist()]
    path = "L".join(f"{number(x)} {number(y)}" for x, y, _, _ in places)
    pen = f"fill:none;stroke:{colour(index)};stroke-linejoin:round;stroke-width:"
    parts = [element("path", d=f"M{path}", style=f"{pen}1.5;opacity:.7", class_="line")]
    for x, y, low, high in places:
        bar = f"M{number(x)} {number(low)}V{number(high)}" + "".join(
            f"M{number(x - _CAP)} {number(end)}h{number(2 * _CAP)}" for end in (low, high)
        )
        drawn = element("path", d=bar, style=f"{pen}1.5", class_="interval") if low != high else ""
        parts.append(drawn + _dot(x, y, index))
    return "".join(parts) if places else ""


def _say(name: str, rows: np.ndarray) -> str:
    said = [
        f"{format_value(y)} at {format_value(x)}"
        + (f" ({format_value(low)} to {format_value(high)})" if low != high else "")
        for x, y, low, high in rows.tolist()
    ]
    return f"{name}: {', '.join(said) or 'no value to show'}"
