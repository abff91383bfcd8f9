"""Which process works in a work directory: one at a time, and others can see it."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

from burn_tf._file_lock import WITHOUT_LOCKS, hold_lock, is_held
from burn_tf._files import atomic_write

LOCK_FILE = "running.lock"
PROCESS_FILE = "running.json"
# A look at the lock holds it for an instant.
_WAIT_SECONDS = 2.0


@dataclasses.dataclass(frozen=True)
class Process:
    """A process that works, or worked, in a work directory.

    Attributes:
        pid: number of the process on its machine.
        host: name of its machine.
        started: seconds since 1970.
    """

    pid: int
    host: str
    started: float

    @property
    def is_here(self) -> bool:
        """Whether it is (or was) on this machine."""
        return self.host == socket.gethostname()


@contextlib.contextmanager
def work_in(folder: Path) -> Iterator[None]:
    """Hold a work directory, and say who does.

    The operating system frees it when the process ends, in whatever way. Where the file system has
    no locks, a warning on standard error says so.

    Args:
        folder: the work directory.

    Raises:
        UserError: another process works there.
    """
    with hold_lock(folder / LOCK_FILE, _WAIT_SECONDS):
        me = Process(os.getpid(), socket.gethostname(), time.time())
        atomic_write(folder / PROCESS_FILE, json.dumps(dataclasses.asdict(me)) + "\n")
        try:
            yield
        finally:
            (folder / PROCESS_FILE).unlink(missing_ok=True)


def last_process(folder: Path) -> Process | None:
    """Who works there, or was killed while it did; None after a run that ended by itself."""
    try:
        found = json.loads((folder / PROCESS_FILE).read_text(encoding="utf-8"))
        return Process(int(found["pid"]), str(found["host"]), float(found["started"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def is_running(folder: Path) -> bool:
    """Whether a process works in the folder now.

    Without locks that is told by the process that was last there: on another machine, it counts as
    one that works until it has left by itself.
    """
    try:
        return is_held(folder / LOCK_FILE)
    except OSError as error:
        if error.errno not in WITHOUT_LOCKS:
            raise
    process = last_process(folder)
    return process is not None and (not process.is_here or _is_alive(process.pid))


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        # Somebody else's.
        return True
    return True
