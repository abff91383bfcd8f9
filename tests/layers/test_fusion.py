"""Which functions are compiled, and the sum over rows."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from burn_tf.layers.fusion import channel_sum, fused

LARGE = [64, 64, 64]


@fused
def doubled(values: tf.Tensor) -> tf.Tensor:
    return values + values


def compiled_functions(shape: list[int | None]) -> int:
    """How many compiled functions a graph of one call holds."""
    traced = tf.function(lambda values: doubled(values)).get_concrete_function(
        tf.TensorSpec(shape, tf.float32)
    )
    operations = traced.graph.get_operations()
    return sum(bool(op.get_attr("_XlaMustCompile")) for op in operations if "Call" in op.type)


@pytest.mark.parametrize("shape", [LARGE, [None, *LARGE]])
def test_large_tensors_of_a_graph_are_compiled(shape):
    assert compiled_functions(shape) == 1


@pytest.mark.parametrize("shape", [[4, 8, 8], [None, 16, 16], [8, None, None, 64]])
def test_small_and_unknown_shapes_are_not(shape):
    assert compiled_functions(shape) == 0


def test_values_are_the_same():
    values = tf.random.stateless_normal(LARGE, seed=(1, 2))
    expected = 2 * values.numpy()
    np.testing.assert_array_equal(doubled(values).numpy(), expected)
    np.testing.assert_array_equal(tf.function(doubled)(values).numpy(), expected)


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [("bfloat16", 2**-7), ("float32", 1e-5), ("float64", 1e-12)]
)
def test_channel_sum_of_many_rows(dtype, tolerance):
    values = np.random.default_rng(0).uniform(0.5, 1.5, size=(4, 100, 100, 3))
    rounded = tf.cast(values, dtype)
    expected = tf.cast(rounded, tf.float64).numpy().sum(axis=(0, 1, 2))
    actual = channel_sum(rounded)
    assert actual.dtype == dtype
    np.testing.assert_allclose(tf.cast(actual, tf.float64).numpy(), expected, rtol=tolerance)


def test_channel_sum_of_an_unknown_batch():
    @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.float32)])
    def total(values):
        return channel_sum(values)

    np.testing.assert_array_equal(total(tf.ones([5, 3])).numpy(), [5, 5, 5])
    np.testing.assert_array_equal(total(tf.ones([0, 3])).numpy(), [0, 0, 0])
