"""Peaks of traced functions, counted by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import tensorflow as tf

from burn_tf.training.step_graph import graph_operations, graph_peak, graph_size, tensor_bytes

ROWS = 1000
BLOCK = 4 * ROWS


def traced(function: Callable[..., object], *specs: tf.TensorSpec) -> tf.Graph:
    compiled = tf.function(function, autograph=False)
    return compiled.get_concrete_function(*specs or [tf.TensorSpec([ROWS])]).graph


def test_bytes() -> None:
    assert tensor_bytes(tf.TensorSpec([2, 3], tf.bfloat16)) == 12
    assert tensor_bytes(tf.TensorSpec([], tf.int64)) == 8
    assert tensor_bytes(tf.TensorSpec([None, 3])) == 0
    assert tensor_bytes(tf.TensorSpec([4], tf.string)) == 0


def test_arguments_are_not_counted_and_results_are() -> None:
    assert graph_peak(traced(lambda x: tf.cumsum(x))) == BLOCK
    # Two results of the same argument.
    assert graph_peak(traced(lambda x: (tf.cumsum(x), tf.cumsum(x, reverse=True)))) == 2 * BLOCK


def test_element_wise_chain_takes_one_piece_of_memory() -> None:
    chain = traced(lambda x: tf.exp(tf.reshape(tf.sqrt(tf.square(x + 1.0)), [10, -1])))
    assert graph_peak(chain) == BLOCK
    # cumsum does not write in place: input and output stand side by side.
    assert graph_peak(traced(lambda x: tf.cumsum(tf.cumsum(tf.cumsum(x))))) == 2 * BLOCK


def test_gradients_keep_activations() -> None:
    weights = [tf.Variable(tf.ones([8, 8])) for _ in range(4)]

    def gradients(x: tf.Tensor) -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            for weight in weights:
                x = tf.nn.tanh(x @ weight)
            loss = tf.reduce_sum(x)
        return tape.gradient(loss, weights)

    rows = 8 * 4 * 5000
    peak = graph_peak(traced(gradients, tf.TensorSpec([5000, 8])))
    # Four layers' outputs are kept, and beside them the gradient that goes back; without a tape
    # two at a time would do.
    assert 4 * rows <= peak <= 6.5 * rows


def test_what_nobody_needs_is_left_out() -> None:
    def function(x: tf.Tensor) -> tf.Tensor:
        tf.linalg.matmul(x[:, None], x[None])
        return tf.cumsum(x)

    graph = traced(function)
    assert graph_peak(graph) == BLOCK
    assert len(graph_operations(graph)) < graph_size(graph)


def outer(x: tf.Tensor) -> tf.Tensor:
    """ROWS x ROWS in between."""
    return tf.reduce_sum(tf.linalg.matmul(x[:, None], x[None]), axis=1)


@pytest.mark.parametrize("kind", ["call", "while", "cond"])
def test_functions_inside(kind: str) -> None:
    def function(x: tf.Tensor) -> tf.Tensor:
        if kind == "call":
            return tf.function(outer, autograph=False)(x)
        if kind == "cond":
            return tf.cond(x[0] > 0, lambda: outer(x), lambda: x)
        return tf.while_loop(lambda i, _: i < 5, lambda i, y: (i + 1, outer(y)), [0, x])[1]

    graph = traced(function)
    # One matrix at a time, however often the loop runs.
    assert ROWS * BLOCK <= graph_peak(graph) <= 1.01 * ROWS * BLOCK
    assert graph_size(graph) > len(graph.get_operations())


def test_a_loop_adds_up_in_place() -> None:
    def function(x: tf.Tensor) -> tf.Tensor:
        start = tf.cumsum(x)
        return tf.while_loop(lambda i, _: i < 5, lambda i, y: (i + 1, y + 1.0), [0, start])[1]

    assert graph_peak(traced(function)) <= BLOCK + 100


def test_compiled_functions_count_by_their_outputs() -> None:
    compiled = tf.function(outer, autograph=False, jit_compile=True)
    assert graph_peak(traced(lambda x: compiled(x))) == BLOCK
