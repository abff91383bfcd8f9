"""Element-wise arithmetic in one pass over memory.

TensorFlow runs each element-wise operation as a pass of its own, and on a CPU these passes are
bound by memory: a training step of ReActNet-A spent about a third of its time in them. Compiled by
XLA, a chain is one pass. Reductions stay outside: XLA's were 10 to 50 times slower.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import tensorflow as tf

# Compiling one shape takes some 60 ms: it pays for tensors of 1 MB and more.
_SMALLEST_SIZE = 2**18
_ASSUMED_BATCH = 32


def _can_compile(tensors: tuple[tf.Tensor, ...]) -> bool:
    """In a graph, on CPUs, for large tensors whose shape is known but for the batch."""
    if tf.executing_eagerly() or tf.config.list_logical_devices("GPU"):
        return False
    if not all(tensor.shape[1:].is_fully_defined() for tensor in tensors):
        return False
    first = tensors[0].shape
    rows = _ASSUMED_BATCH if first[0] is None else first[0]
    return rows * first[1:].num_elements() >= _SMALLEST_SIZE


def _is_half(tensor: tf.Tensor) -> bool:
    return tensor.dtype in (tf.bfloat16, tf.float16)


def _in_float32(function: Callable[..., Any], *tensors: tf.Tensor) -> Any:
    """Half precision in and out, float32 in between: exacter, and compiled 2 times faster."""
    dtype = tensors[0].dtype
    wide = [tf.cast(tensor, tf.float32) if _is_half(tensor) else tensor for tensor in tensors]
    return tf.nest.map_structure(lambda result: tf.cast(result, dtype), function(*wide))


def fused(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function of tensors into one loop inside graphs; run it as it is elsewhere.

    When the first tensor is half precision, the function sees float32; results are cast back.

    For graphs of training only: the mobile converters do not look into compiled functions.
    """

    def compute(*tensors: tf.Tensor) -> Any:
        if _is_half(tensors[0]):
            return _in_float32(function, *tensors)
        return function(*tensors)

    compiled = tf.function(compute, jit_compile=True, autograph=False)

    @functools.wraps(function)
    def call(*tensors: tf.Tensor) -> Any:
        if not _can_compile(tensors):
            return compute(*tensors)
        # Called directly, `compiled` would warn of retracing when a network has many shapes.
        specs = [tf.TensorSpec(tensor.shape, tensor.dtype) for tensor in tensors]
        return compiled.get_concrete_function(*specs)(*tensors)

    return call


def channel_sum(values: tf.Tensor) -> tf.Tensor:
    """Sum over all axes but the last, as a product with ones.

    BiasAddGrad accumulates bfloat16 in bfloat16 (200,704 rows lost 99 % of their sum), and
    `tf.reduce_sum` of narrow float32 rows was 3 times slower.
    """
    rows = tf.reshape(values, [-1, values.shape[-1]])
    ones = tf.ones([1, tf.shape(rows)[0]], rows.dtype)
    return tf.reshape(tf.matmul(ones, rows), [-1])
