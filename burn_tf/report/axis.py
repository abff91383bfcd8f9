"""Axes: a value range, where its ticks go, and which pixel a value falls on."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterable

import numpy as np

from burn_tf.report.numbers import format_tick

# Beyond this a range (high - low) could overflow a double.
LARGEST = 1e300
_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


def drawable(values: np.ndarray, log: bool = False) -> np.ndarray:
    """Mask of the values an axis can show: finite, and positive where the axis is logarithmic."""
    with np.errstate(invalid="ignore"):
        mask = np.isfinite(values) & (np.abs(values) < LARGEST)
        return np.asarray(mask & (values > 1.0 / LARGEST) if log else mask)


def nice_step(span: float, count: int) -> float:
    """Returns the 1, 2, 2.5 or 5 times a power of ten that cuts `span` in at most `count` steps."""
    raw = span / max(count, 1)
    power = 10.0 ** math.floor(math.log10(raw))
    return next(power * step for step in _STEPS if power * step >= raw * (1 - 1e-9))


def linear_ticks(low: float, high: float, step: float) -> list[float]:
    """Returns the multiples of `step` inside [low, high]."""
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [index * step for index in range(first, last + 1)]


def log_ticks(low: float, high: float, count: int) -> list[float]:
    """Returns powers of ten in [low, high], thinned to `count`; 1-2-5 where they are too few."""
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    every = max(1, math.ceil((last - first + 1) / max(count, 1)))
    decades = [10.0**power for power in range(first, last + 1) if power % every == 0]
    if len(decades) >= 3:
        return decades
    finer = [m * 10.0**power for power in range(first - 1, last + 1) for m in (1.0, 2.0, 5.0)]
    inside = [tick for tick in finer if low * (1 - 1e-9) <= tick <= high * (1 + 1e-9)]
    return inside if len(inside) >= 2 else linear_ticks(low, high, nice_step(high - low, count))


def _widened(low: float, high: float) -> tuple[float, float]:
    """A range that has a width, also when all values are equal or differ by rounding only."""
    size = max(abs(low), abs(high))
    if high - low > max(size * 1e-9, 1.0 / LARGEST):
        return low, high
    middle, half = (low + high) / 2, size * 0.05 if size > 1.0 / LARGEST else 1.0
    return middle - half, middle + half


@dataclasses.dataclass(frozen=True)
class Axis:
    """Maps values in [low, high] to pixels in [start, end], linearly or by logarithm.

    Args:
        low, high: value range, low < high; both positive when `log`.
        start, end: pixels of low and high (end < start for an axis that points up).
        log: logarithmic scale.
        ticks: values that get a line and a label.
        labels: the ticks as text.
    """

    low: float
    high: float
    start: float
    end: float
    log: bool
    ticks: tuple[float, ...]
    labels: tuple[str, ...]

    def pixel(self, value: float) -> float:
        """Returns the pixel of one value."""
        low, high = self.low, self.high
        if self.log:
            low, high, value = math.log10(low), math.log10(high), math.log10(value)
        return self.start + (value - low) / (high - low) * (self.end - self.start)

    def placed(self, start: float, end: float) -> Axis:
        """Returns the same axis on other pixels."""
        return dataclasses.replace(self, start=start, end=end)


def make_axis(
    values: Iterable[float],
    *,
    count: int = 5,
    log: bool = False,
    from_zero: bool = False,
    tight: bool = False,
) -> Axis:
    """Builds an axis that holds every drawable value; 0 to 1 (log: 0.1 to 1) when there is none.

    Args:
        values: numbers; those that cannot be drawn are left out.
        count: steps between ticks aimed at, at least 1.
        log: logarithmic scale.
        from_zero: let a linear axis begin (or, for negative values, end) at zero.
        tight: end at the extreme values, not at the next ticks.
    """
    array = np.asarray(list(values), dtype=np.float64)
    array = array[drawable(array, log)]
    low, high = (array.min(), array.max()) if array.size else (0.1 if log else 0.0, 1.0)
    if from_zero and not log:
        low, high = min(low, 0.0), max(high, 0.0)
        high = 1.0 if low == high else high
    low, high = _widened(float(low), float(high))
    if log:
        return _log_axis(low, high, count)
    step = nice_step(high - low, count)
    if not tight:
        low, high = math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step
    ticks = linear_ticks(low, high, step)
    labels = tuple(format_tick(tick, step) for tick in ticks)
    return Axis(low, high, 0.0, 1.0, False, tuple(ticks), labels)


def _log_axis(low: float, high: float, count: int) -> Axis:
    margin = min((high / low) ** 0.04, 10.0)
    low, high = low / margin, high * margin
    ticks = log_ticks(low, high, count)
    labels = tuple(format_tick(tick, 10.0 ** math.floor(math.log10(tick))) for tick in ticks)
    if any(b / a < 1.5 for a, b in itertools.pairwise(ticks)):
        labels = tuple(format_tick(tick, ticks[1] - ticks[0]) for tick in ticks)
    return Axis(low, high, 0.0, 1.0, True, tuple(ticks), labels)
