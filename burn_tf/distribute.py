"""What a loss needs to know of `tf.distribute`: how many replicas there are, and their tensors.

Every function is the identity outside a strategy, so that code reads the same on one device.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf


def num_replicas() -> int:
    """Replicas that share each training step (1 outside a strategy)."""
    return int(tf.distribute.get_strategy().num_replicas_in_sync)


def _replica_context() -> Any:
    return tf.distribute.get_replica_context() if num_replicas() > 1 else None


def all_gather(tensor: tf.Tensor, axis: int = 0) -> tf.Tensor:
    """Concatenate a tensor over all replicas along `axis`; gradients flow back to each owner.

    When every replica computes the same loss from the gathered tensor and divides it by
    `num_replicas()`, the gradient that reaches each slice is that of the global loss.
    """
    context = _replica_context()
    if context is None:
        return tensor
    return _as_before(context.all_gather(_wide(tensor), axis=axis), tensor)


def every_replica(vector: tf.Tensor) -> tf.Tensor:
    """[N] of each replica -> [replicas, N], in one exchange (`all_gather` asks for sizes first)."""
    context = _replica_context()
    if context is None:
        return vector[None]
    mine = tf.one_hot(context.replica_id_in_sync_group, num_replicas(), dtype=vector.dtype)
    return all_reduce_sum(mine[:, None] * vector)


def own_rows(tensor: tf.Tensor) -> tf.Tensor:
    """This replica's share [B / replicas, ..] of a tensor [B, ..] made for the global batch.

    Numbers drawn for the global batch make one replica and many see the same ones.
    """
    context = _replica_context()
    if context is None:
        return tensor
    count = tf.shape(tensor)[0] // num_replicas()
    start = context.replica_id_in_sync_group * count
    return tensor[start : start + count]


def all_reduce_sum(tensor: tf.Tensor) -> tf.Tensor:
    """Sum a tensor, or each of a list, over all replicas; those of 16 bits in float32."""
    return _all_reduce(tf.distribute.ReduceOp.SUM, tensor)


def all_reduce_mean(tensor: tf.Tensor) -> tf.Tensor:
    """Average a tensor, or each of a list, over all replicas; those of 16 bits in float32."""
    return _all_reduce(tf.distribute.ReduceOp.MEAN, tensor)


def _all_reduce(how: tf.distribute.ReduceOp, tensors: Any) -> Any:
    context = _replica_context()
    if context is None:
        return tensors
    reduced = context.all_reduce(how, tf.nest.map_structure(_wide, tensors))
    return tf.nest.map_structure(_as_before, reduced, tensors)


def _wide(tensor: tf.Tensor) -> tf.Tensor:
    """In float32 what has 16 bits: CPUs' collectives have no bfloat16, and sums would round."""
    return tf.cast(tensor, tf.float32) if tensor.dtype in (tf.bfloat16, tf.float16) else tensor


def _as_before(tensor: tf.Tensor, original: tf.Tensor) -> tf.Tensor:
    return tf.cast(tensor, original.dtype)
