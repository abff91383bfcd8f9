"""Which variables are exempt from decay and adaptation."""

from __future__ import annotations

from typing import Any

import pytest
import tensorflow as tf

from burn_tf.optimizers import is_exempt
from burn_tf.optimizers.parameter_groups import check_patterns


@pytest.mark.parametrize(
    ("shape", "exempt"), [((), True), ((7,), True), ((7, 1), False), ((3, 3, 2, 7), False)]
)
def test_rank_decides(shape: tuple, exempt: bool) -> None:
    assert is_exempt(tf.Variable(tf.zeros(shape))) is exempt


@pytest.mark.parametrize(
    ("pattern", "exempt"),
    [("head", True), ("^stem/", True), ("kernel:0$", True), ("tail", False), ("^head", False)],
)
def test_pattern_is_searched_in_the_name(pattern: str, exempt: bool) -> None:
    variable = tf.Variable(tf.zeros([2, 2]), name="stem/head/kernel")
    assert is_exempt(variable, ["nowhere", pattern]) is exempt


def test_norms_of_a_keras_model_are_exempt_and_kernels_are_not() -> None:
    layers = tf.keras.layers
    model = tf.keras.Sequential(
        [layers.Conv2D(4, 3), layers.BatchNormalization(), layers.Flatten(), layers.Dense(2)]
    )
    model.build([None, 8, 8, 3])
    kept = [v.name.split("/")[-1] for v in model.trainable_variables if not is_exempt(v)]
    assert kept == ["kernel:0", "kernel:0"]


@pytest.mark.parametrize(("patterns", "received"), [(["("], r"\("), ("bias", "bias"), ([3], "3")])
def test_bad_patterns(patterns: Any, received: str) -> None:
    with pytest.raises(ValueError, match=f"`exempt` must.*Received: '?{received}"):
        check_patterns("exempt", patterns)
