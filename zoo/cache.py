"""Where downloaded weights are kept, and whether downloading is allowed."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from burn_tf._checks import UserError

HOME_VARIABLE = "BURN_TF_HOME"
OFFLINE_VARIABLE = "BURN_TF_OFFLINE"
_YES = ("1", "true", "yes", "on")
_NO = ("", "0", "false", "no", "off")


def cache_folder() -> Path:
    """BURN_TF_HOME, or `burn_tf` in the platform's folder for what can be fetched again.

    Raises:
        UserError: the home folder that either of them is in is not known.
    """
    home = os.environ.get(HOME_VARIABLE)
    try:
        return Path(home).expanduser().absolute() if home else _platform_folder() / "burn_tf"
    except RuntimeError as error:
        cure = f"{HOME_VARIABLE} must be a folder" if home else f"set {HOME_VARIABLE} to a folder"
        raise UserError(f"{cure}: {error} Received: {home!r}") from error


def is_offline() -> bool:
    """Whether BURN_TF_OFFLINE forbids downloads.

    Raises:
        UserError: it holds neither yes nor no.
    """
    value = os.environ.get(OFFLINE_VARIABLE, "")
    word = value.strip().lower()
    if word not in (*_YES, *_NO):
        raise UserError(f"{OFFLINE_VARIABLE} must be 1 or 0. Received: {value!r}")
    return word in _YES


def _platform_folder() -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    # The XDG specification says to ignore a relative path.
    stated = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return stated if stated.is_absolute() else Path.home() / ".cache"
