"""A target network that follows an online network by a moving average of its weights."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf


class MovingAverage:
    """Moves target weights towards online weights by a share that may change every update.

        target_t = tau_t target_(t-1) + (1 - tau_t) w_t

    Example:
        >>> online, target = tf.Variable([2.0]), tf.Variable([0.0])
        >>> MovingAverage().update([target], [online], decay=0.75)
        >>> float(target[0])
        0.5

    Source: He et al., Momentum Contrast, CVPR 2020, eq. 2, arXiv 1911.05722.
    Departs from source: none.
    """

    def update(
        self,
        targets: Sequence[tf.Variable],
        online: Sequence[tf.Variable],
        decay: tf.Tensor | float,
    ) -> None:
        """One update of every target variable; shapes and order as in `online`."""
        rate = self._rate(tf.cast(decay, tf.float32))
        for target, source in zip(targets, online, strict=True):
            target.assign_add(tf.cast(rate, target.dtype) * (source - target))

    def _rate(self, decay: tf.Tensor) -> tf.Tensor:
        return 1.0 - decay


class BiasCorrectedEMA(MovingAverage):
    """The average that starts from nothing, its bias corrected: the first target is w_1.

    The plain average m_t = tau_t m_(t-1) + (1 - tau_t) w_t from m_0 = 0, divided by 1 - tau_1 ..
    tau_t to correct its bias, can be kept without a second copy: with P_t = tau_1 .. tau_t,

        target_t = target_(t-1) + (1 - tau_t) / (1 - P_t) * (w_t - target_(t-1)),

    so that target_1 = w_1. `decay_product` holds P_t and is saved with the model. The running
    product is only needed while it differs from 0 in float32.

    Args:
        decay_product: non-trainable float32 scalar variable, 1 at the start.

    Example:
        >>> average = BiasCorrectedEMA(tf.Variable(1.0, trainable=False))
        >>> online, target = tf.Variable([2.0]), tf.Variable([0.0])
        >>> average.update([target], [online], decay=0.99)
        >>> float(target[0])
        2.0

    Source: Moon et al., An Embedding-Dynamic Approach to Self-supervised Learning (target network);
        Kingma & Ba 2015, sec. 3, for the correction.
    Departs from source: none.
    """

    def __init__(self, decay_product: tf.Variable) -> None:
        self.decay_product = decay_product

    def _rate(self, decay: tf.Tensor) -> tf.Tensor:
        product = self.decay_product.assign(self.decay_product * decay)
        # A decay of exactly 1 from the start would divide 0 by 0: the target then stays.
        return tf.math.divide_no_nan(1.0 - decay, 1.0 - product)
