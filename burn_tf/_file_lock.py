"""A lock between processes (and threads) that dies with its holder."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from burn_tf._checks import UserError

# What file systems without locks say; Lustre is often mounted so.
WITHOUT_LOCKS = (errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK)
_POLL_SECONDS = 0.05
# A link in the lock's place must not make a file elsewhere. Windows has no such flag.
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)

if sys.platform == "win32":
    import msvcrt

    def _lock(handle: int) -> None:
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)

    def _unlock(handle: int, path: Path) -> None:
        # An open file cannot be deleted here: the empty file stays.
        os.lseek(handle, 0, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_UNLCK, 1)

    _probe = _lock

else:
    import fcntl

    def _lock(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _unlock(handle: int, path: Path) -> None:
        # Deleted while it is held, so that nobody can hold a lock on a file that is gone.
        path.unlink(missing_ok=True)
        # Closing is not enough: a forked child shares the lock through its copy of the handle.
        fcntl.flock(handle, fcntl.LOCK_UN)

    def _probe(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)


@contextlib.contextmanager
def hold_lock(path: Path, timeout_seconds: float) -> Iterator[None]:
    """Hold the lock that is the file `path`, waiting for another holder.

    Where the file system has no locks, a warning on standard error says so, and nothing is held.

    The operating system frees it when the holder ends, in whatever way: a file left by a process
    that was killed locks nobody out.

    Args:
        path: of the lock file; its folder is made where there is none. It is gone afterwards (not
            on Windows).
        timeout_seconds: how long to wait.

    Raises:
        UserError: it was not free in time.
        OSError: the folder cannot be written to.
    """
    try:
        handle = _acquire(path, time.monotonic() + timeout_seconds)
    except OSError as error:
        if error.errno not in WITHOUT_LOCKS:
            raise
        print(f"burn-tf: warning: {path.parent} has no locks: run one there only", file=sys.stderr)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
        return
    try:
        yield
    finally:
        _unlock(handle, path)
        os.close(handle)


def is_held(path: Path) -> bool:
    """Whether somebody holds the lock that is the file `path`; makes no file and waits for nobody.

    Raises:
        OSError: the file is there and cannot be opened.
    """
    try:
        handle = os.open(path, os.O_RDONLY | _NO_LINK)
    except FileNotFoundError:
        return False
    try:
        _probe(handle)
    except (BlockingIOError, PermissionError):
        return True
    finally:
        os.close(handle)
    return False


def _acquire(path: Path, deadline: float) -> int:
    while True:
        handle = _opened(path)
        try:
            _lock(handle)
            if _is_file(handle, path):
                return handle
        except (BlockingIOError, PermissionError):
            # Held by another one. Windows says so with PermissionError.
            if time.monotonic() > deadline:
                os.close(handle)
                raise UserError(
                    f"another process is still at work under {str(path)!r}: wait for it, or end it"
                ) from None
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)
        time.sleep(_POLL_SECONDS)


def _opened(path: Path) -> int:
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            return os.open(path, os.O_RDWR | os.O_CREAT | _NO_LINK, 0o666)
        except FileNotFoundError:
            # The last holder has just removed the folder, which it had nothing to put into.
            continue
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise
            path.unlink(missing_ok=True)


def _is_file(handle: int, path: Path) -> bool:
    """Whether `handle` is the file that now stands at `path`, and not one deleted meanwhile."""
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path))
    except FileNotFoundError:
        return False
