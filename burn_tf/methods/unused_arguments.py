"""Arguments of Keras' `compile` and `fit` that a method has no use for, and refuses."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from burn_tf._checks import UserError

OF_COMPILE = ("loss", "metrics", "loss_weights", "weighted_metrics")
OF_FIT = ("validation_split", "validation_data", "class_weight", "sample_weight")
_CURES = {
    **dict.fromkeys(OF_COMPILE, "a method holds its own losses and logs its own figures"),
    **dict.fromkeys(OF_FIT[:2], "score the backbone by burn_tf.evaluation, or in a callback"),
    **dict.fromkeys(OF_FIT[2:], "all images of a batch count the same"),
}


def refuse(names: Sequence[str], given: Mapping[str, Any]) -> None:
    """Raise for the first of `names` that is given and is neither None nor 0.

    Raises:
        UserError: Keras would accept it, and it would do nothing.
    """
    for name in names:
        value = given.get(name)
        if value is not None and not (isinstance(value, (int, float)) and value == 0):
            raise UserError(
                f"`{name}` must be left out: {_CURES[name]}. Received: {type(value).__name__}"
            )


def refuse_of_fit(x: Any, args: Sequence[Any], options: Mapping[str, Any]) -> None:
    """`refuse` for a call `fit(x, *args, **options)`, whose arguments may be given by position."""
    try:
        bound = inspect.signature(tf.keras.Model.fit).bind(None, x, *args, **options)
    except TypeError:  # Keras says itself which argument it does not know.
        return
    refuse(OF_FIT, bound.arguments)


def no_evaluation(method: str) -> UserError:
    """The error for `evaluate` and `test_on_batch`, which would give a loss of 0."""
    return UserError(
        f"a method is not evaluated by its loss: use burn_tf.evaluation on its `backbone`, whose "
        f"features it gives. Received: {method}()"
    )
