"""Series of points: thinning to a bounded number, and the running mean."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from burn_tf._checks import UserError, check_integer


@dataclasses.dataclass(frozen=True)
class Series:
    """One named line of a chart.

    Args:
        name: text of the legend.
        x, y: numbers of equal length; a `y` that is not finite leaves a gap in the line.
    """

    name: str
    x: Sequence[float] | np.ndarray
    y: Sequence[float] | np.ndarray

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns x and y as float64 arrays, without the points whose x is not finite."""
        x, y = np.asarray(self.x, np.float64), np.asarray(self.y, np.float64)
        if x.ndim != 1 or x.shape != y.shape:
            raise UserError(
                f"Series {self.name!r} needs x and y of one dimension and equal length. "
                f"Received: shapes {x.shape} and {y.shape}"
            )
        keep = np.isfinite(x)
        return x[keep], y[keep]


def thin(x: np.ndarray, y: np.ndarray, max_points: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Thins a line to at most `max_points` points without losing a peak.

    The line is cut in equal runs; of each run the smallest and the largest `y` stay and, where
    it has any, one `y` that is not finite, so that gaps survive. First and last point stay.

    Args:
        x, y: float64 [N], in the order the line is drawn.
        max_points: at least 8 (default 400: ours, about one per pixel of a chart).

    Returns:
        The kept x and y, in order. Unchanged when N <= max_points.

    Example:
        >>> import numpy as np
        >>> x = np.arange(10_000.0)
        >>> kept_x, kept_y = thin(x, np.where(x == 4321, 9.0, 0.0), max_points=100)
        >>> len(kept_x) <= 100, kept_y.max()
        (True, 9.0)
    """
    check_integer("max_points", max_points, low=8)
    if len(x) <= max_points:
        return x, y
    runs = np.array_split(np.arange(len(x)), (max_points - 2) // 3)
    kept = {0, len(x) - 1}
    for run in runs:
        finite = np.isfinite(y[run])
        if not finite.all():
            kept.add(int(run[np.argmin(finite)]))
        if finite.any():
            inside = run[finite]
            kept.add(int(inside[np.argmin(y[inside])]))
            kept.add(int(inside[np.argmax(y[inside])]))
    order = sorted(kept)
    return x[order], y[order]


def running_mean(y: np.ndarray, window: int) -> np.ndarray:
    """Centred mean over `window` values, fewer beside an end or a gap; it never looks across one.

    Args:
        y: float64 [N].
        window: number of values, at least 1; an even one looks back one further than ahead.

    Returns:
        float64 [N], NaN where `y` is not finite.

    Example:
        >>> running_mean(np.array([0.0, 3.0, 6.0, 9.0]), 3).tolist()
        [1.5, 3.0, 6.0, 7.5]
    """
    check_integer("window", window, low=1)
    finite = np.isfinite(y)
    result = np.full(len(y), np.nan)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], finite, [False]])))
    for begin, end in zip(edges[::2], edges[1::2], strict=True):
        result[begin:end] = _run_mean(y[begin:end], window)
    return result


def _run_mean(y: np.ndarray, window: int) -> np.ndarray:
    # A sum per window, not a difference of cumulated sums: after one spike those would round
    # everything behind it away.
    ends = (window // 2, (window - 1) // 2)
    sums = sliding_window_view(np.pad(y, ends), window).sum(axis=1)
    counts = sliding_window_view(np.pad(np.ones(len(y)), ends), window).sum(axis=1)
    return np.asarray(sums / counts)
