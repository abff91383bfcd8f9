"""SIGTERM and SIGINT while a run trains: the step is finished, saved, and the process leaves."""

from __future__ import annotations

import signal
import sys
import threading
from types import FrameType, TracebackType
from typing import Any, TextIO

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StoppedBySignal(SystemExit):
    """A signal has ended the run, which can go on from what it has saved.

    Its exit code is 128 + the signal's number, as shells report it: 143 for SIGTERM, 130 for
    SIGINT.

    Args:
        number: of the signal.
        saved: what stands where in the work directory, for the message.
    """

    def __init__(self, number: int, saved: str) -> None:
        super().__init__(128 + number)
        self.number = number
        self.line = (
            f"burn-tf: {signal.Signals(number).name}: {saved}; the same command goes on from there"
        )

    def __str__(self) -> str:
        return self.line


class StopSignals:
    """Notes SIGTERM and SIGINT inside its `with`, where work must come to a good end first.

    A second SIGINT interrupts at once. Outside Python's main thread, where no handler can be set,
    signals do what they did before.

    Args:
        stream: where the line of a `StoppedBySignal` that ends the `with` is written; None:
            standard error.

    Example:
        >>> with StopSignals() as stop:
        ...     stop.number is None
        True
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = sys.stderr if stream is None else stream
        self.number: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> StopSignals:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
            for number in STOP_SIGNALS:
                signal.signal(number, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            # None: set by something other than Python, which cannot be given back.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        if isinstance(error, StoppedBySignal):
            # A line of progress may be open on a terminal.
            print(f"{chr(10) * self.stream.isatty()}{error.line}", file=self.stream, flush=True)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and self.number == signal.SIGINT:
            raise KeyboardInterrupt
        self.number = number
