"""What an analysis found: settings, a table, curves and plain words, in three forms."""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from burn_tf import __version__
from burn_tf._files import atomic_write
from burn_tf.report import Chart, Series, bar_chart, format_table, line_chart, write_report

# Longer lines get a running mean over about this share of their points.
_SMOOTH_FROM, _SMOOTH_SHARE = 120, 60


@dataclasses.dataclass(frozen=True)
class Panel:
    """Lines over one axis: the numbers, and how they are drawn.

    Args:
        title: heading.
        series: the lines.
        x_label, y_label: names of the axes with their units.
        log_y: logarithmic y axis.
        from_zero: the linear y axis holds zero.
        smooth: draw a running mean over long lines.
    """

    title: str
    series: Sequence[Series]
    x_label: str = "update"
    y_label: str = ""
    log_y: bool = False
    from_zero: bool = False
    smooth: bool = False

    def chart(self) -> Chart:
        """The panel as a chart."""
        longest = max((len(line.y) for line in self.series), default=0)
        window = 2 * (longest // (2 * _SMOOTH_SHARE)) + 1
        return line_chart(
            self.title,
            self.series,
            x_label=self.x_label,
            y_label=self.y_label,
            log_y=self.log_y,
            from_zero=self.from_zero,
            smooth=window if self.smooth and longest >= _SMOOTH_FROM else 1,
        )

    def to_dict(self) -> dict[str, dict[str, list[float | None]]]:
        """x and y of each line by name; what is not finite is None, for JSON has no word for it."""
        return {s.name: {"x": _plain(s.x), "y": _plain(s.y)} for s in self.series}


@dataclasses.dataclass(frozen=True)
class Analysis:
    """The record of one analysis.

    Args:
        kind: name of the analysis, as `burn-tf analyse` takes it.
        title: heading.
        settings: what it was made with, by name.
        rows: the table; the first column names the row.
        panels: curves.
        bars: columns of the table that are drawn as bars.
        notes: plain sentences: what is shown, where it comes from, what differs from there.

    Example:
        >>> from burn_tf.analysis import Analysis
        >>> analysis = Analysis("toy", "A toy", {"n": 2}, [{"row": "a", "value": 0.5}])
        >>> "0.5" in analysis.text()
        True
    """

    kind: str
    title: str
    settings: Mapping[str, Any]
    rows: Sequence[Mapping[str, Any]]
    panels: Sequence[Panel] = ()
    bars: Sequence[str] = ()
    notes: Sequence[str] = ()

    def text(self) -> str:
        """The table for a terminal."""
        return format_table(self.rows)

    def to_json(self) -> str:
        """Everything, the numbers behind the curves included, as one JSON object."""
        record = {
            "kind": self.kind,
            "title": self.title,
            "burn_tf": __version__,
            "settings": dict(self.settings),
            "rows": [{name: _finite(value) for name, value in row.items()} for row in self.rows],
            "curves": {panel.title: panel.to_dict() for panel in self.panels},
            "notes": list(self.notes),
        }
        return json.dumps(record, indent=1, allow_nan=False)

    def write(
        self,
        json_file: str | os.PathLike[str] | None = None,
        html_file: str | os.PathLike[str] | None = None,
    ) -> None:
        """Write the JSON object and the HTML page, each where a path is given."""
        if json_file is not None:
            atomic_write(json_file, self.to_json() + "\n")
        if html_file is not None:
            write_report(
                html_file,
                title=self.title,
                summary={**self.settings, "burn_tf": __version__},
                table=self.rows,
                curves=[panel.chart() for panel in self.panels],
                scatters=[self._bar_chart(name) for name in self.bars],
                notes=self.notes,
            )

    def _bar_chart(self, column: str) -> Chart:
        names = [str(next(iter(row.values()))) for row in self.rows]
        return bar_chart(column, names, {column: [row.get(column) for row in self.rows]})


def _plain(values: Sequence[float] | np.ndarray) -> list[float | None]:
    return [_finite(float(f"{float(value):.6g}")) for value in values]


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
