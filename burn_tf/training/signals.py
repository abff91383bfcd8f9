"""SIGTERM and SIGINT during a run: the step under way is finished and saved, then it leaves."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType, TracebackType
from typing import Any, Protocol, TextIO

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
SAVED_STAYS = "what is saved stays"


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


class Told(Protocol):
    """Holds the number of the signal that a run is to leave for; None: it goes on."""

    number: int | None


class StopSignals:
    """SIGTERM and SIGINT inside its `with` end it by `StoppedBySignal`, at once or when it is safe.

    While `noted()` is open a signal only leaves its number, for work that must come to a good end
    first; a second SIGINT then interrupts at once. Python drops what a handler raises within a
    finalizer, so that a number may be found elsewhere too: it ends the `with` at the next `noted()`
    or at its own end. Outside Python's main thread, where no handler can be set, signals do what
    they did before.

    Args:
        stream: where the line of a `StoppedBySignal` that ends the `with` is written; None:
            standard error.

    Attributes:
        number: of the signal that has come; None: none.

    Raises:
        StoppedBySignal: from anywhere within its `with`, and at its end.

    Example:
        >>> with StopSignals() as stop, stop.noted():
        ...     stop.number is None
        True
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = sys.stderr if stream is None else stream
        self.number: int | None = None
        self._before: dict[int, Any] = {}
        self._noting = False

    def __enter__(self) -> StopSignals:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
            for number in STOP_SIGNALS:
                signal.signal(number, self._came)
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
        stopped = error
        if error is None and self.number is not None:
            stopped = StoppedBySignal(self.number, SAVED_STAYS)
        if isinstance(stopped, StoppedBySignal):
            # A line of progress may be open on a terminal.
            print(f"{chr(10) * self.stream.isatty()}{stopped.line}", file=self.stream, flush=True)
            if error is None:
                raise stopped

    @contextlib.contextmanager
    def noted(self) -> Iterator[None]:
        """Signals leave their number and nothing else until this ends.

        Raises:
            StoppedBySignal: when one has come before.
        """
        self._noting = True
        try:
            if self.number is not None:
                raise StoppedBySignal(self.number, SAVED_STAYS)
            yield
        finally:
            self._noting = False

    def _came(self, number: int, frame: FrameType | None) -> None:
        again = number == signal.SIGINT and self.number == signal.SIGINT
        self.number = number
        if self._noting and not again:
            return
        raise KeyboardInterrupt if again else StoppedBySignal(number, SAVED_STAYS)
