"""Moving averages against their definitions."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from burn_tf.methods import BiasCorrectedEMA, MovingAverage


def test_equals_the_definition() -> None:
    rng = np.random.default_rng(0)
    average = BiasCorrectedEMA(tf.Variable(1.0, trainable=False))
    target = tf.Variable(np.full(3, 7.0, np.float32))
    plain, product = np.zeros(3), 1.0
    for decay in (0.9, 0.95, 0.5, 0.99, 1.0):
        weights = rng.standard_normal(3)
        plain = decay * plain + (1 - decay) * weights
        product *= decay
        average.update([target], [tf.Variable(weights, dtype=tf.float32)], decay)
        np.testing.assert_allclose(target.numpy(), plain / (1 - product), rtol=1e-5)


def test_decay_of_one_from_the_start_moves_nothing() -> None:
    average = BiasCorrectedEMA(tf.Variable(1.0, trainable=False))
    target = tf.Variable([3.0])
    average.update([target], [tf.Variable([5.0])], 1.0)
    assert target.numpy() == [3.0]


def test_plain_average_starts_from_the_target() -> None:
    online, target = tf.Variable([4.0, -2.0]), tf.Variable([0.0, 2.0])
    for decay, expected in ((0.75, [1.0, 1.0]), (1.0, [1.0, 1.0]), (0.0, [4.0, -2.0])):
        MovingAverage().update([target], [online], decay)
        np.testing.assert_allclose(target, expected)
