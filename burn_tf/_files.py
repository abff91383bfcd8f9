"""Files that are read whole, and written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import glob
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from burn_tf._checks import UserError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def read_whole(path: str | os.PathLike[str]) -> bytes:
    """The bytes of a file that the user named.

    Raises:
        UserError: it cannot be read.
    """
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise UserError(
            f"cannot read {os.fspath(path)!r}: check the path. Received: {error.strerror}"
        ) from error


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary sibling of `path` that takes its place on success and vanishes on failure.

    The sibling keeps the suffix of `path`, because Keras chooses the format by it. A link stays,
    and the file that it leads to is replaced.

    Raises:
        UserError: what is there is no file: the administrator could replace /dev/null too.
    """
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():
        raise UserError(
            "a file cannot take the place of a folder, device or pipe: name another path. "
            f"Received: {os.fspath(path)!r}"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(
        prefix=f".{target.stem}.", suffix=target.suffix, dir=target.parent
    )
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        # mkstemp makes private files; a result has the permissions the user's umask gives.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        os.replace(temporary, target)
    except OSError as error:
        # A failed write tells no name.
        if error.errno in _FULL and error.filename is None:
            error.filename = os.fspath(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)


def atomic_write(path: str | os.PathLike[str], content: bytes | str) -> None:
    """Write `content` (text as UTF-8) to `path` atomically."""
    data = content.encode("utf-8") if isinstance(content, str) else content
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def remove_unfinished(path: str | os.PathLike[str]) -> None:
    """Remove what a process left beside `path` that was killed while it wrote it atomically.

    Only where no other process can be writing it.
    """
    target = Path(os.path.realpath(path))
    stem, suffix = glob.escape(target.stem), glob.escape(target.suffix)
    # `tempfile` puts eight characters of its own in the middle.
    for left in target.parent.glob(f".{stem}.????????{suffix}"):
        left.unlink(missing_ok=True)
