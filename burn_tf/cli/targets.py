"""Checks, before any work is done, that its result can be written."""

from __future__ import annotations

import os
from pathlib import Path

from burn_tf._checks import UserError


def check_file_target(name: str, path: str) -> None:
    """Refuse a path that a file could not be written to.

    Args:
        name: the flag, for the message.
        path: the file that will be written; one that exists is replaced.

    Raises:
        UserError: it is a folder, or its folder does not exist or may not be written to.
    """
    target = Path(path)
    if target.is_dir():
        raise UserError(f"`{name}` must be a file. Received: the folder {path!r}")
    if not target.parent.is_dir():
        raise UserError(f"`{name}` must lie in a folder that exists. Received: {path!r}")
    if not os.access(target.parent, os.W_OK):
        raise UserError(f"`{name}` must lie in a folder you may write to. Received: {path!r}")
