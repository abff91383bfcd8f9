"""SIGTERM ends a command as Ctrl-C does, so that nothing half-written stays behind."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType


class Terminated(KeyboardInterrupt):
    """SIGTERM has come. Whatever tidies up at an interrupt tidies up at this too."""


@contextlib.contextmanager
def termination_raised() -> Iterator[None]:
    """SIGTERM within the body raises `Terminated` there; the handler before is put back.

    By default the signal would end the process where it stands, with temporary files beside their
    targets. Outside Python's main thread, where no handler can be set, it still does; so it does
    where the parent had it ignored, or another handler is set already.
    """
    ours = threading.current_thread() is threading.main_thread()
    if not ours or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, _raise)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _raise(number: int, frame: FrameType | None) -> None:
    raise Terminated
