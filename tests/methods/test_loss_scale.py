"""The loss scale: growth, fall, and updates that are left out."""

from __future__ import annotations

import math

import pytest
import tensorflow as tf

from burn_tf.methods.loss_scale import LossScale


def updates(scale: LossScale, values: list[float]) -> tuple[list[bool], list[float], float]:
    """Whether each gradient was used, the scale after it, and the weight at the end."""
    weight = tf.Variable(0.0)

    def move(gradients: list[tf.Tensor], offset: tf.Tensor) -> tf.Tensor:
        weight.assign_add(gradients[0][0] + offset)
        return tf.constant(7.0)

    @tf.function
    def step(gradient: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return scale.update_if_finite(move, [gradient], tf.constant(10.0))

    used, scales = [], []
    for value in values:
        finite, result = step(tf.constant([value, 1.0]))
        assert float(result) == (7.0 if finite else 0.0)
        used.append(bool(finite))
        scales.append(float(scale.value))
    return used, scales, float(weight)


def test_doubles_after_good_steps_and_halves_after_bad_ones() -> None:
    scale = LossScale(scale=8.0, growth_steps=3)
    values = [1.0, 2.0, math.inf, 1.0, 1.0, 1.0, math.nan, -math.inf]
    used, scales, weight = updates(scale, values)
    assert used == [True, True, False, True, True, True, False, False]
    assert scales == [8, 8, 4, 4, 4, 8, 4, 2]
    assert weight == 6 + 5 * 10
    assert int(scale.good_steps) == 0


def test_never_below_one() -> None:
    assert updates(LossScale(scale=2.0), [math.nan] * 3)[1] == [1, 1, 1]


def test_scaling_is_undone() -> None:
    scale = LossScale(scale=2.0**15)
    tiny = tf.constant(2.0**-20)
    assert float(scale.scaled(tiny)) == 2.0**-5
    assert [float(g) for g in scale.unscaled([scale.scaled(tiny)])] == [2.0**-20]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_unscaled_keeps_types(dtype: str) -> None:
    assert LossScale().unscaled([tf.ones([2], dtype)])[0].dtype == dtype
