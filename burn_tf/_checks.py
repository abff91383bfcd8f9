"""Checks of arguments: every refusal names the argument, what was received and what is allowed."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

T = TypeVar("T")


class UserError(ValueError):
    """A mistake that the user can repair: one line with the cure. The CLI exits with code 2."""


def nearest(word: str, choices: Iterable[str]) -> str | None:
    """The choice that a misspelt word most likely meant, or None."""
    found = difflib.get_close_matches(
        str(word), [str(choice) for choice in choices], n=1, cutoff=0.5
    )
    return found[0] if found else None


def check_choice(name: str, value: T, choices: Iterable[T]) -> T:
    """Return `value` if it is one of `choices`, else raise with the nearest one."""
    allowed = list(choices)
    if value in allowed:
        return value
    guess = nearest(str(value), [str(choice) for choice in allowed])
    hint = f" Did you mean {guess!r}?" if guess is not None else ""
    listed = ", ".join(repr(choice) for choice in allowed)
    raise UserError(f"`{name}` must be one of {listed}.{hint} Received: {value!r}")


def _interval(low: Any, high: Any, low_open: bool, high_open: bool) -> str:
    left = "" if low is None else f"{low} {'<' if low_open else '<='} "
    right = "" if high is None else f" {'<' if high_open else '<='} {high}"
    return f"{left}value{right}"


def check_range(
    name: str,
    value: float,
    *,
    low: float | None = None,
    high: float | None = None,
    low_open: bool = False,
    high_open: bool = False,
) -> float:
    """Return `value` as float if it is a number inside the interval, else raise."""
    wanted = _interval(low, high, low_open, high_open)
    try:
        number = math.nan if isinstance(value, (bool, str)) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    too_low = low is not None and (number <= low if low_open else number < low)
    too_high = high is not None and (number >= high if high_open else number > high)
    if not math.isfinite(number) or too_low or too_high:
        raise UserError(f"`{name}` must be a number with {wanted}. Received: {value!r}")
    return number


def check_integer(name: str, value: int, *, low: int | None = None, high: int | None = None) -> int:
    """Return `value` as int if it is a whole number with low <= value <= high, else raise."""
    wanted = _interval(low, high, False, False)
    whole = not isinstance(value, (bool, str)) and hasattr(value, "__index__")
    if not whole or (low is not None and value < low) or (high is not None and value > high):
        raise UserError(f"`{name}` must be a whole number with {wanted}. Received: {value!r}")
    return int(value)


def check_sides(name: str, value: int | Sequence[int]) -> tuple[int, int]:
    """Height and width in pixels of a side or of a pair, each at least 1, else raise."""
    sides = value if isinstance(value, (list, tuple)) else (value, value)
    if len(sides) != 2:
        raise UserError(f"`{name}` must be pixels, a side or (height, width). Received: {value!r}")
    height, width = (check_integer(name, side, low=1) for side in sides)
    return height, width


def check_rank(name: str, tensor: Any, rank: int) -> None:
    """Raise unless the static rank of `tensor` is `rank` (an unknown rank passes)."""
    shape = tensor.shape
    if shape.rank is not None and shape.rank != rank:
        raise UserError(f"`{name}` must have rank {rank}. Received: shape {tuple(shape)}")
