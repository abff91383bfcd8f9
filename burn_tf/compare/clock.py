"""Seconds and peak memory of a run, summed over its interruptions."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path
from types import TracebackType

from burn_tf._checks import UserError
from burn_tf._files import atomic_write

CLOCK_FILE = "clock.json"
_KIB = 1024
_STATUS = Path("/proc/self/status")


def peak_memory() -> int:
    """Greatest resident size of this process so far, in bytes; 0 where the system does not say."""
    if _STATUS.exists():
        # `ru_maxrss` of a new process begins with that of the process which started it.
        text = _STATUS.read_text(encoding="ascii", errors="replace")
        line = next((line for line in text.splitlines() if line.startswith("VmHWM:")), "")
        return int(line.split()[1]) * _KIB if line else 0
    if sys.platform == "win32":
        return 0
    import resource  # Not on Windows.

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * _KIB


def read_clock(folder: Path) -> dict[str, float]:
    """`seconds` and `peak_bytes` of the run in this folder; both 0 before it has begun."""
    path = folder / CLOCK_FILE
    if not path.exists():
        return {"seconds": 0.0, "peak_bytes": 0}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return {"seconds": float(found["seconds"]), "peak_bytes": int(found["peak_bytes"])}
    except (KeyError, OverflowError, TypeError, ValueError, RecursionError) as error:
        raise UserError(f"{path} is damaged: delete it and run the same command again") from error


class RunClock:
    """Measures its body and adds it to what earlier parts of the run took.

    The file is written every few seconds, so that a run that is killed loses no more than those.

    Args:
        folder: of the run, where `clock.json` is.
        seconds: between writes; > 0.

    Example:
        >>> import pathlib, tempfile
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> with RunClock(folder):
        ...     pass
        >>> read_clock(folder)["peak_bytes"] > 0
        True
    """

    def __init__(self, folder: Path, seconds: float = 5.0) -> None:
        self.folder = folder
        self.seconds = seconds
        self._before = read_clock(folder)
        self._start = time.monotonic()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep, daemon=True)

    def __enter__(self) -> RunClock:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()
        self._write()

    def _keep(self) -> None:
        while not self._ended.wait(self.seconds):
            self._write()

    def _write(self) -> None:
        taken = time.monotonic() - self._start
        entry = {
            "seconds": round(self._before["seconds"] + taken, 3),
            "peak_bytes": max(int(self._before["peak_bytes"]), peak_memory()),
        }
        atomic_write(self.folder / CLOCK_FILE, json.dumps(entry) + "\n")


def follow_parent(parent: int, seconds: float = 1.0) -> None:
    """End this process when the one that started it has ended, at once if it already has.

    Else a comparison that was killed would leave a run behind, and the next one would start
    another in the same folder.

    Args:
        parent: number of the process that started this one, as that one knows it: it may be gone
            before this one has imported TensorFlow.
        seconds: between looks.
    """
    if os.getppid() != parent:
        os._exit(1)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(seconds)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
