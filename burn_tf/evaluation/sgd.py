"""The update of SGD with momentum as PyTorch, and so the papers' protocols, define it."""

from __future__ import annotations

import tensorflow as tf


def sgd_step(
    variable: tf.Variable,
    velocity: tf.Variable,
    gradient: tf.Tensor,
    rate: tf.Tensor,
    momentum: tf.Tensor,
    weight_decay: tf.Tensor,
) -> None:
    """v <- momentum * v + g + weight_decay * w;  w <- w - rate * v.

    Keras scales the gradient by the rate before it enters v, so that a change of the rate acts
    later there.
    """
    velocity.assign(momentum * velocity + gradient + weight_decay * variable)
    variable.assign_sub(rate * velocity)
