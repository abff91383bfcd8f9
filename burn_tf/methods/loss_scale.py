"""Loss scaling: gradients that float16 can hold, and no update where it could not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from burn_tf.methods.micro_batches import across_replicas

INITIAL_SCALE = 2.0**15
GROWTH_STEPS = 2000


class LossScale:
    """A factor s of the loss that is as large as float16's gradients allow.

        g = (d (s L) / d w) / s;   not finite: no update, s = max(s / 2, 1)
        2000 finite updates in a row: s = 2 s

    float16 has no numbers between 0 and 6e-8: gradients of activations, many of which are smaller,
    would vanish. An update that is left out changes no variable of method or optimizer.

    Args:
        scale: s at the start, >= 1; 2^15, as in Keras.
        growth_steps: finite updates in a row until s is doubled, >= 1; 2000 (the paper's).

    Example:
        >>> scale = LossScale(scale=8.0)
        >>> float(scale.scaled(tf.constant(0.5)))
        4.0

    Source: Micikevicius et al., Mixed Precision Training, ICLR 2018, sec. 3.2, arXiv 1710.03740.
    Departs from source: none.
    """

    def __init__(self, scale: float = INITIAL_SCALE, growth_steps: int = GROWTH_STEPS) -> None:
        self.growth_steps = growth_steps
        self.value = tf.Variable(scale, trainable=False, name="loss_scale", dtype=tf.float32)
        self.good_steps = tf.Variable(0, trainable=False, name="good_steps", dtype=tf.int64)

    def scaled(self, loss: tf.Tensor) -> tf.Tensor:
        """s times the loss."""
        return loss * tf.cast(self.value, loss.dtype)

    def unscaled(self, gradients: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """Gradients of the loss itself, from those of `scaled`."""
        return [gradient / tf.cast(self.value, gradient.dtype) for gradient in gradients]

    def update_if_finite(
        self, update: Callable[..., tf.Tensor], gradients: Sequence[tf.Tensor], *rest: Any
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """`update(gradients, *rest)` where all gradients, summed over replicas, are finite.

        Returns:
            Whether it was called (bool scalar), and the float32 scalar it gave, 0 where it was not.
        """
        sums = tf.stack([tf.reduce_sum(tf.cast(gradient, tf.float32)) for gradient in gradients])
        finite = tf.reduce_all(tf.math.is_finite(sums))

        def grow(*arguments: Any) -> tf.Tensor:
            self._grow()
            return update(*arguments)

        def choose(run: Callable[..., Any], finite: Any, *arguments: Any) -> Any:
            # Summed over replicas, gradients are the same on all of them.
            first = tf.distribute.get_strategy().experimental_local_results(finite)[0]
            return tf.cond(first, lambda: run(grow, arguments), lambda: run(self._shrink, ()))

        return finite, across_replicas(choose, finite, list(gradients), *rest)

    def _grow(self) -> None:
        steps = self.good_steps + 1
        due = steps >= self.growth_steps
        self.good_steps.assign(tf.where(due, tf.zeros_like(steps), steps))
        self.value.assign(tf.where(due, 2.0 * self.value, self.value))

    def _shrink(self) -> tf.Tensor:
        self.good_steps.assign(0)
        self.value.assign(tf.maximum(self.value / 2.0, 1.0))
        return tf.zeros([])
