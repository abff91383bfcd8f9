"""Tells an image's key from a queue of other keys (MoCo, eq. 1)."""

from __future__ import annotations

import tensorflow as tf

from burn_tf._checks import UserError, check_range, check_rank
from burn_tf.losses._vectors import check_matching, directions, wide_floats


def info_nce(
    queries: tf.Tensor, keys: tf.Tensor, negatives: tf.Tensor, temperature: float = 0.2
) -> tf.Tensor:
    """Cross entropy of finding each query's key among the negatives, one value per image.

    With `q`, `k+`, `n` the unit vectors along `queries`, `keys`, `negatives`, `T = temperature`:

        -log( exp(q.k+ / T) / (exp(q.k+ / T) + sum_n exp(q.n / T)) )

    Keys and negatives get no gradient. A zero vector has no direction and counts as 0. There is no
    Keras loss of this name: a loss of two arguments has no place for the queue.

    Args:
        queries: `[B, d]`, any float dtype; narrower ones are computed in float32.
        keys: `[B, d]`, the other view of the same images, from the key encoder.
        negatives: `[Q, d]`, keys of other images, such as MoCo's queue.
        temperature: above 0. Default 0.2, MoCo v2's (MoCo: 0.07).

    Returns:
        `[B]`, float32 (float64 where one of the inputs is float64).

    Raises:
        ValueError: for a temperature not above 0, or shapes that do not match.

    Example:
        >>> import burn_tf, tensorflow as tf
        >>> from burn_tf.losses import info_nce
        >>> query, other = tf.constant([[2.0, 0.0]]), tf.constant([[0.0, 1.0]])
        >>> round(float(info_nce(query, query, other, temperature=1.0)[0]), 4)
        0.3133

    Source: He et al., "Momentum Contrast for Unsupervised Visual Representation Learning", eq. 1,
        arXiv 1911.05722; temperature: Chen et al., arXiv 2003.04297.

    Departs from source: none.
    """
    check_range("temperature", temperature, low=0.0, low_open=True)
    queries, keys, negatives = wide_floats(queries, keys, negatives)
    for name, tensor in (("queries", queries), ("keys", keys), ("negatives", negatives)):
        check_rank(name, tensor, 2)
    check_matching("queries", queries, "keys", keys)
    if not negatives.shape[-1:].is_compatible_with(queries.shape[-1:]):
        raise UserError(
            "`negatives` must have the channels of `queries`. "
            f"Received: {tuple(negatives.shape)} and {tuple(queries.shape)}"
        )
    queries = directions(queries)
    keys, negatives = directions(tf.stop_gradient(keys)), directions(tf.stop_gradient(negatives))
    positive = tf.reduce_sum(queries * keys, axis=-1) / temperature
    others = tf.matmul(queries, negatives, transpose_b=True) / temperature
    # -log(e^p / (e^p + e^n)) = log(1 + e^(n - p))
    return tf.nn.softplus(tf.reduce_logsumexp(others, axis=-1) - positive)
