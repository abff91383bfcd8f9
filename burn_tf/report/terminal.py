"""Text for terminals: aligned tables and a progress line with the time left."""

from __future__ import annotations

import math
import shutil
import sys
import time
import unicodedata
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, TextIO

from burn_tf._checks import check_integer
from burn_tf.report.numbers import format_column, format_duration, format_value, is_number

_BAR_CELLS = 20
_REDRAW_SECONDS = 0.1
_LINE_SECONDS = 10.0
_RATE_SAMPLES = 40
_RATE_SPACING = 0.5


def display_width(text: str) -> int:
    """Returns the terminal cells `text` takes: two for wide scripts, none for combining marks."""
    cells = 0
    for character in text:
        if unicodedata.combining(character) or unicodedata.category(character) in ("Cf", "Me"):
            continue
        cells += 2 if unicodedata.east_asian_width(character) in "WF" else 1
    return cells


def one_line(text: object) -> str:
    """Returns `text` without line breaks, terminal escapes and other control characters."""
    kept = (" " if unicodedata.category(c) in ("Cc", "Zl", "Zp") else c for c in str(text))
    return "".join(kept).strip()


def _cut(text: str, cells: int) -> str:
    while text and display_width(text) > cells:
        text = text[:-1]
    return text


def _encodable(text: str, stream: TextIO) -> str:
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return text.encode(encoding, "replace").decode(encoding)


def format_table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str] | None = None) -> str:
    """Formats rows as an aligned table; columns with numbers stand right.

    Args:
        rows: values by column; a missing one is an empty cell.
        columns: which columns, in order; None: all keys in order of appearance.

    Returns:
        Lines without trailing blanks, joined by line feeds; "" without a column. The rule is of
        ASCII signs, so only the cells decide what a terminal must be able to show.

    Example:
        >>> rows = [{"model": "BURN", "top-1": 95.25}, {"model": "pixels", "top-1": 91.0}]
        >>> print(format_table(rows))
        model   top-1
        ------  -----
        BURN    95.25
        pixels  91.00
    """
    if columns is None:
        columns = list(dict.fromkeys(key for row in rows for key in row))
    if not columns:
        return ""
    cells = []
    for column in columns:
        values = [row.get(column) for row in rows]
        right = any(is_number(value) for value in values)
        cells.append(_aligned([one_line(t) for t in (column, *format_column(values))], right))
    return "\n".join("  ".join(line).rstrip() for line in zip(*cells, strict=True))


def _aligned(texts: Sequence[str], right: bool) -> list[str]:
    """Pads the head and the cells of one column and puts a rule between them."""
    width = max(display_width(text) for text in texts)
    blanks = [" " * (width - display_width(text)) for text in texts]
    padded = [
        blank + text if right else text + blank for text, blank in zip(texts, blanks, strict=True)
    ]
    return [padded[0], "-" * width, *padded[1:]]


class ProgressLine:
    """Shows how far a long job is: share, rate, time gone and time left.

    On a terminal one line is rewritten, at most ten times a second; elsewhere (a log file) a new
    line appears about every ten seconds, and one at the end. Time left is what remains divided by
    the rate of the last 20 seconds or more, so that a slow first step does not spoil it.

    Args:
        total: steps of the whole job, at least 0.
        label: what is being done.
        stream: text stream; None: standard error.
        start: steps done earlier, when a job is resumed; they do not count for the rate.
        clock: seconds as a growing number.

    Example:
        >>> import io
        >>> out = io.StringIO()
        >>> with ProgressLine(2, "stage 1", stream=out) as line:
        ...     line.update(1, loss=0.5)
        ...     line.update(2, loss=0.25)
        >>> "100 %" in out.getvalue()
        True
    """

    def __init__(
        self,
        total: int,
        label: str,
        stream: TextIO | None = None,
        *,
        start: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.total = check_integer("total", total, low=0)
        self.label = one_line(label)
        self.done = check_integer("start", start, low=0)
        self._stream = sys.stderr if stream is None else stream
        self._clock = clock
        self._tty = bool(getattr(self._stream, "isatty", lambda: False)())
        self._begin = clock()
        self._samples = deque([(self._begin, self.done)], maxlen=_RATE_SAMPLES)
        self._metrics: dict[str, Any] = {}
        self._shown_at = self._begin if not self._tty else -math.inf
        self._shown_done: int | None = None
        self._shown_width = 0
        self._closed = False

    def update(self, n: int, **metrics: Any) -> None:
        """Says that `n` of `total` steps are done (steps of earlier runs included).

        Args:
            n: steps done so far.
            **metrics: numbers or texts to show at the end of the line.
        """
        now = self._clock()
        if len(self._samples) == 1 or now - self._samples[-1][0] >= _RATE_SPACING:
            self._samples.append((now, n))
        self.done, self._metrics = n, metrics
        if now - self._shown_at >= (_REDRAW_SECONDS if self._tty else _LINE_SECONDS):
            self._show(now)

    def close(self) -> None:
        """Shows the last state and ends the line. A second call does nothing."""
        if self._closed:
            return
        self._closed = True
        if self._tty or self._shown_done != self.done:
            self._show(self._clock())
        if self._tty:
            self._stream.write("\n")
            self._stream.flush()

    def __enter__(self) -> ProgressLine:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def rate(self, now: float) -> float:
        """Returns steps per second over the recent samples, NaN before the first step."""
        # The first step builds the graph; it counts only while it is all that is known.
        oldest = self._samples[1 if len(self._samples) > 2 else 0]
        newest = (now, self.done)
        if newest[1] <= oldest[1] or newest[0] <= oldest[0]:
            oldest = self._samples[0]
        seconds, steps = newest[0] - oldest[0], newest[1] - oldest[1]
        return steps / seconds if seconds > 0 and steps > 0 else math.nan

    def seconds_left(self, now: float) -> float:
        """Returns the seconds that the remaining steps will take, NaN when not known."""
        left = max(self.total - self.done, 0)
        return 0.0 if left == 0 else left / self.rate(now)

    def text(self, now: float) -> str:
        """Returns the line as it is shown at time `now`."""
        share = min(self.done / self.total, 1.0) if self.total else 1.0
        cells = int(share * _BAR_CELLS)
        rate = self.rate(now)
        parts = [
            f"{self.label} [{'#' * cells}{'.' * (_BAR_CELLS - cells)}] {int(share * 100):3d} %",
            f"{self.done}/{self.total}",
            f"{format_value(round(rate, 1 if rate < 100 else 0)) if rate == rate else '?'}/s",
            f"{format_duration(now - self._begin)} gone",
            f"{format_duration(self.seconds_left(now))} left",
        ]
        parts += [f"{name} {format_value(value)}" for name, value in self._metrics.items()]
        return one_line("  ".join(parts))

    def _show(self, now: float) -> None:
        text = _encodable(self.text(now), self._stream)
        if self._tty:
            text = _cut(text, shutil.get_terminal_size().columns - 1)
            blank = " " * max(self._shown_width - display_width(text), 0)
            self._shown_width = display_width(text)
            self._stream.write(f"\r{text}{blank}")
        else:
            self._stream.write(text + "\n")
        self._stream.flush()
        self._shown_at, self._shown_done = now, self.done
