"""What a record says of repeated measurements: intervals, and figures by images per class."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

from burn_tf.report.charts import Chart
from burn_tf.report.error_bars import Measured, error_bar_chart
from burn_tf.report.numbers import is_number
from burn_tf.report.runs import Record

HEADLINE = "map11"


@dataclasses.dataclass(frozen=True, order=True)
class Spread:
    """A figure over seeds or draws.

    Args:
        mean: of the values.
        deviation: of one value, NaN where there is one only.
        low, high: ends of the 95 % interval of the mean, NaN where there is none.
    """

    mean: float
    deviation: float
    low: float
    high: float

    @classmethod
    def from_record(cls, entry: Any) -> Spread | None:
        """Reads mean, deviation and interval; None where there is no mean."""
        if not isinstance(entry, Mapping) or not is_number(entry.get("mean")):
            return None
        deviation, low, high = (_number(entry.get(key)) for key in ("deviation", "low", "high"))
        return cls(float(entry["mean"]), deviation, low, high)

    def interval(self) -> str:
        """The interval as text, or ""."""
        if not math.isfinite(self.low) or not math.isfinite(self.high):
            return ""
        return f"{self.low:.2f} to {self.high:.2f}"


def _number(value: Any) -> float:
    return float(value) if is_number(value) else math.nan


def shots(record: Record, metric: str = HEADLINE) -> list[tuple[int, Spread]]:
    """Returns (images per class, spread) of `provenance["shots"]`, ascending; empty without."""
    entries = record.provenance.get("shots")
    rows = [e for e in entries if isinstance(e, Mapping)] if isinstance(entries, list) else []
    found = [(row["k"], Spread.from_record(row.get(metric))) for row in rows if "k" in row]
    return sorted((int(k), s) for k, s in found if is_number(k) and s is not None)


def few_shot_chart(records: Sequence[Record]) -> Chart | None:
    """Draws mean and 95 % interval over images per class, a line per record; None without any."""
    lines = []
    for record in records:
        points = shots(record)
        if points:
            y, low, high = zip(*((s.mean, s.low, s.high) for _, s in points), strict=True)
            lines.append(Measured(record.model, [k for k, _ in points], y, low, high))
    if not lines:
        return None
    return error_bar_chart(
        "Few images of each class",
        lines,
        x_label="labelled images per class, logarithmic",
        y_label="mAP %, 11 points",
        log_x=True,
        note="Dots: mean over the draws; bars: 95 % interval of the mean.",
    )
