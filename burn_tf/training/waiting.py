"""How long a training step waits for its batch, by clocks inside its graph."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from burn_tf.methods import SSLMethod
from burn_tf.watching.run_files import WAIT_FIGURE


def log_waiting(method: SSLMethod) -> None:
    """Make `fit` log `wait_seconds`, the time that an update waited for its batch.

    Keras' own training function stays; the clock is read before and after it takes a batch from its
    iterator, two operations more. Under several workers each logs its own wait; where another one
    starves, all wait for its gradients instead. It holds until the next `compile`.

    Args:
        method: compiled, one update per call of its training function.
    """
    keras_own = method.make_train_function(force=True)
    traced = isinstance(keras_own, tf.types.experimental.PolymorphicFunction)
    step = keras_own.python_function if traced else keras_own

    def train_function(iterator: Any) -> dict[str, tf.Tensor]:
        clocked = _Clocked(iterator)
        figures = step(clocked)
        return {**figures, WAIT_FIGURE: clocked.waited}

    graph = tf.function(train_function, reduce_retracing=True) if traced else train_function
    method.train_function = graph


class _Clocked:
    """An iterator that knows how long its last element was waited for.

    Attributes:
        waited: seconds, float64 scalar.
    """

    def __init__(self, iterator: Any) -> None:
        self._iterator = iterator
        self.waited = tf.constant(0.0, tf.float64)

    def __next__(self) -> Any:
        asked = tf.timestamp()
        with tf.control_dependencies([asked]):
            element = next(self._iterator)
        with tf.control_dependencies(tf.nest.flatten(element, expand_composites=True)):
            self.waited = tf.timestamp() - asked
        return element
