"""Checks, before any work is done, that its result can be written."""

from __future__ import annotations

import os
from pathlib import Path

from burn_tf._checks import UserError


def check_folder_target(name: str, path: str) -> None:
    """Refuse a path that cannot be a folder to write into; it need not exist.

    Args:
        name: the flag, for the message.
        path: the folder.

    Raises:
        UserError: a file is there, or in the place of a folder above it; or it may not be written
            to.
    """
    near = Path(os.path.realpath(path))
    while not os.path.lexists(near):
        near = near.parent
    if not near.is_dir():
        raise UserError(
            f"`{name}` must be a folder, or a new one. Received: the file {str(near)!r}"
        )
    if not os.access(near, os.W_OK):
        raise UserError(f"`{name}` must be a folder you may write to. Received: {path!r}")


def check_different_files(**paths: str | None) -> None:
    """Refuse two flags that name one file.

    Args:
        **paths: what each flag was given, or None.

    Raises:
        UserError: the second would replace the first.
    """
    found: dict[str, str] = {}
    for name, path in paths.items():
        if path is None:
            continue
        other = found.setdefault(os.path.realpath(path), name)
        if other != name:
            raise UserError(f"`{other}` and `{name}` must be two files. Received: {path!r} twice")


def check_file_target(name: str, path: str) -> None:
    """Refuse a path that a file could not be written to.

    Args:
        name: the flag, for the message.
        path: the file that will be written; one that exists is replaced.

    Raises:
        UserError: it is a folder, a device or write-protected, or its folder does not exist or may
            not be written to.
    """
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise UserError(f"`{name}` must be a file. Received: the folder {path!r}")
    if target.exists() and not target.is_file():
        raise UserError(f"`{name}` must be a file, no device or pipe. Received: {path!r}")
    if not target.parent.is_dir():
        raise UserError(f"`{name}` must lie in a folder that exists. Received: {path!r}")
    if not os.access(target.parent, os.W_OK):
        raise UserError(f"`{name}` must lie in a folder you may write to. Received: {path!r}")
    if target.exists() and not os.access(target, os.W_OK):
        raise UserError(f"`{name}` must be a file you may write to. Received: {path!r}")
