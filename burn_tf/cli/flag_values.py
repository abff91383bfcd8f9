"""Refuses what absl takes as a flag's value and no command can use."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from absl import flags as absl_flags

from burn_tf._checks import UserError

# Counts of TensorFlow and of files are int32 or int64; nothing here counts further than the first.
_GREATEST = 2**31 - 1


def check_values(flags: absl_flags.FlagValues) -> None:
    """Refuse empty words, numbers that are not finite and whole numbers beyond 32 bits.

    An empty word, which a shell makes of a variable that is not set, would be the current folder.
    It is right where the flag's default is empty too.

    Args:
        flags: parsed ones.

    Raises:
        UserError: naming the flag.
    """
    for name in flags:
        flag = flags[name]
        if flag.present and flag.default != "":
            several = isinstance(flag, absl_flags.MultiFlag)
            for value in (flag.value or []) if several else [flag.value]:
                _check_value(name, value)


def check_unused(flags: absl_flags.FlagValues, names: Iterable[str], purpose: str) -> None:
    """Refuse flags that were given and would do nothing.

    Args:
        flags: parsed ones.
        names: of those that do nothing here.
        purpose: what they are for, such as "--all".

    Raises:
        UserError: naming the first of them.
    """
    for name in names:
        if flags[name].present:
            raise UserError(
                f"`{name}` is for {purpose}: leave it out. Received: {flags[name].value!r}"
            )


def _check_value(name: str, value: Any) -> None:
    if isinstance(value, str) and not value.strip():
        raise UserError(
            f"`{name}` must not be empty: leave it out or name one. Received: {value!r}"
        )
    if isinstance(value, float) and not math.isfinite(value):
        raise UserError(f"`{name}` must be a finite number. Received: {value}")
    if type(value) is int and abs(value) > _GREATEST:
        raise UserError(f"`{name}` must be a whole number up to {_GREATEST}. Received: {value}")
