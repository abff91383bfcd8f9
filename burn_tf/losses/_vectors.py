"""Vectors as the losses want them: wide enough, of matching shapes, of unit length."""

from __future__ import annotations

import itertools

import tensorflow as tf

from burn_tf._checks import UserError, check_rank

# Shorter vectors count as 0: their direction's gradient, 1 / length, would leave the range.
SMALLEST_LENGTH = 1e-12


def wide_floats(*tensors: tf.Tensor) -> list[tf.Tensor]:
    """All tensors in float64 if one of them is, otherwise in float32."""
    converted = [tf.convert_to_tensor(tensor) for tensor in tensors]
    wide = any(tensor.dtype == tf.float64 for tensor in converted)
    return [tf.cast(tensor, tf.float64 if wide else tf.float32) for tensor in converted]


def vanishing(dtype: tf.DType) -> tf.Tensor:
    """A logarithm whose exponential is 0, far below any other of its type.

    It is finite: the logarithm of a sum over nothing but these has a gradient of 0, where one over
    infinities has NaN.
    """
    return tf.constant(float(dtype.min) / 2, dtype)


def check_matching(name: str, tensor: tf.Tensor, other_name: str, other: tf.Tensor) -> None:
    """Refuses two tensors whose statically known last two axes (batch, channels) differ."""
    if not tensor.shape[-2:].is_compatible_with(other.shape[-2:]):
        raise UserError(
            f"`{name}` and `{other_name}` must have the same batch and channels. "
            f"Received: {name} {tuple(tensor.shape)}, {other_name} {tuple(other.shape)}"
        )


def check_views(name: str, embeddings: tf.Tensor) -> int:
    """K of `[K, B, d]`, which must be at least 2 and known when a graph is built."""
    check_rank(name, embeddings, 3)
    views = embeddings.shape[0] if embeddings.shape.rank is not None else None
    if views is None or views < 2:
        raise UserError(
            f"`{name}` must hold at least 2 views, stacked along axis 0. "
            f"Received: shape {embeddings.shape}"
        )
    return int(views)


def view_pairs(name: str, embeddings: tf.Tensor) -> list[tuple[tf.Tensor, tf.Tensor]]:
    """All unordered pairs of different views, each `[B, d]`, of embeddings `[K, B, d]`."""
    check_views(name, embeddings)
    return list(itertools.combinations(tf.unstack(embeddings), 2))


def directions(vectors: tf.Tensor) -> tf.Tensor:
    """Unit vectors along the last axis; a zero vector stays zero and passes a zero gradient.

    The largest entry is divided out first, so that no square overflows. A direction does not depend
    on that scale, hence the scale needs no gradient.
    """
    largest = tf.stop_gradient(tf.reduce_max(tf.abs(vectors), axis=-1, keepdims=True))
    # Written so that NaN counts as usable: it must reach the loss and stop the training there.
    vanishes = largest < SMALLEST_LENGTH
    divisor = tf.where(vanishes, tf.ones_like(largest), largest)
    scaled = tf.where(vanishes, tf.ones_like(vectors), vectors / divisor)
    length = tf.sqrt(tf.reduce_sum(tf.square(scaled), axis=-1, keepdims=True))
    return tf.where(vanishes, tf.zeros_like(vectors), scaled / length)
