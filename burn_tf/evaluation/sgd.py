"""SGD with momentum and a stepped rate as PyTorch, and so the papers' protocols, define it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from burn_tf._checks import check_integer, check_range


@dataclasses.dataclass(frozen=True)
class SteppedSGD:
    """What the papers' protocols by SGD have in common, checked.

    Args:
        epochs: at least 1.
        decay_epochs: epochs (from 0) that start with a lower rate.
        decay_factor: inside (0, 1].
        momentum: inside [0, 1).
        weight_decay: at least 0.
        batch_size: at least 1.
        seed: at least 0.
    """

    epochs: int
    decay_epochs: Sequence[int]
    decay_factor: float
    momentum: float
    weight_decay: float
    batch_size: int
    seed: int

    def __post_init__(self) -> None:
        for epoch in self.decay_epochs:
            check_integer("decay_epochs", epoch, low=0)
        for name, low in (("epochs", 1), ("batch_size", 1), ("seed", 0)):
            check_integer(name, getattr(self, name), low=low)
        check_range("decay_factor", self.decay_factor, low=0, high=1, low_open=True)
        check_range("momentum", self.momentum, low=0, high=1, high_open=True)
        check_range("weight_decay", self.weight_decay, low=0)

    def get_config(self) -> dict[str, Any]:
        """The arguments, as JSON types."""
        return dataclasses.asdict(self) | {"decay_epochs": list(self.decay_epochs)}

    def decayed(self, rate: float, epoch: int) -> float:
        """What `rate` has fallen to in an epoch, counted from 0."""
        return rate * self.decay_factor ** sum(epoch >= e for e in self.decay_epochs)


def sgd_step(
    variable: tf.Variable,
    velocity: tf.Variable,
    gradient: tf.Tensor,
    rate: tf.Tensor | float,
    momentum: tf.Tensor | float,
    weight_decay: tf.Tensor | float,
) -> None:
    """v <- momentum * v + g + weight_decay * w;  w <- w - rate * v.

    Keras scales the gradient by the rate before it enters v, so that a change of the rate acts
    later there. TensorFlow's own kernel does it as above, in one pass over memory and not in six.
    A `weight_decay` that is the number 0 costs nothing.
    """

    def like_variable(value: Any) -> tf.Tensor:
        if tf.is_tensor(value):
            return tf.cast(value, variable.dtype)
        return tf.constant(value, variable.dtype)

    gradient = tf.convert_to_tensor(gradient)
    if tf.is_tensor(weight_decay) or weight_decay:
        gradient += like_variable(weight_decay) * variable
    tf.raw_ops.ResourceApplyMomentum(
        var=variable.handle,
        accum=velocity.handle,
        lr=like_variable(rate),
        grad=gradient,
        momentum=like_variable(momentum),
    )
