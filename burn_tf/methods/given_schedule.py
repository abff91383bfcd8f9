"""A schedule among a method's arguments: the one given, or the method's own."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from burn_tf._checks import UserError


def schedule_or(
    default: tf.keras.optimizers.schedules.LearningRateSchedule, name: str, given: Any
) -> Any:
    """The schedule given as argument `name`, or the default where that is None.

    Raises:
        UserError: for anything else; a number, 0 among them, is no schedule.
    """
    if given is None:
        return default
    if not isinstance(given, tf.keras.optimizers.schedules.LearningRateSchedule):
        raise UserError(
            f"`{name}` must be a schedule, such as burn_tf.schedules.{type(default).__name__} (a "
            f"constant is one with equal ends). Received: {given!r}"
        )
    return given
