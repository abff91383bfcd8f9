"""Whitens a batch: mean 0 and covariance 1 by a Cholesky factor (W-MSE, sec. 3)."""

from __future__ import annotations

import tensorflow as tf

from burn_tf._checks import check_range, check_rank
from burn_tf.losses._batches import centred, freedom
from burn_tf.losses._vectors import SMALLEST_LENGTH, wide_floats


def whiten(vectors: tf.Tensor, epsilon: float = 1e-3) -> tf.Tensor:
    """Vectors mapped so that their covariance over the batch is the identity.

    With `S` the covariance of `vectors`, divisor N - 1:

        W (x - mean),   W = L^-1,   L L^T = (1 - epsilon) S + epsilon tr(S) / d I

    W is lower triangular. The result does not depend on the vectors' common scale, and depends on
    each channel's place. Directions in which the batch hardly varies, as all but N - 1 when N <= d,
    keep a covariance below 1; vectors that are all alike become 0 and pass a gradient of 0.

    Args:
        vectors: `[N, d]`, any float dtype; narrower ones are computed in float32.
        epsilon: share of the identity, 0 < epsilon <= 1. Default 1e-3, ours.

    Returns:
        `[N, d]`, float32 (float64 for float64 vectors).

    Raises:
        ValueError: for an epsilon outside its range, or another rank than 2.

    Example:
        >>> import burn_tf, tensorflow as tf
        >>> from burn_tf.losses import whiten
        >>> whiten(tf.constant([[5.0], [7.0], [9.0]])).numpy().round(4).tolist()
        [[-1.0], [0.0], [1.0]]

    Source: Ermolov et al., "Whitening for Self-Supervised Representation Learning", eq. 5,
        arXiv 2007.06346.

    Departs from source: the paper inverts S itself and the authors' code adds epsilon I, by default
        0; in float32 both fail for a batch of low rank.
    """
    check_range("epsilon", epsilon, low=0.0, low_open=True, high=1.0)
    (vectors,) = wide_floats(vectors)
    check_rank("vectors", vectors, 2)
    scaled, alike = _scaled_differences(vectors)
    covariance = tf.matmul(scaled, scaled, transpose_a=True) / freedom(scaled)
    factor = tf.linalg.cholesky(_regularised(covariance, epsilon, alike))
    return tf.transpose(tf.linalg.triangular_solve(factor, tf.transpose(scaled)))


def _scaled_differences(vectors: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Centred vectors over their largest entry, and whether they differ by rounding alone.

    Whitening undoes the scale, hence it needs no gradient; without it squares could overflow.
    """
    differences = centred(vectors)
    largest = tf.stop_gradient(tf.reduce_max(tf.abs(differences)))
    rounding = 8 * _precision(vectors) * tf.stop_gradient(tf.reduce_max(tf.abs(vectors)))
    # Written so that NaN does not count as alike: it must reach the loss.
    alike = largest <= tf.maximum(rounding, SMALLEST_LENGTH)
    scaled = differences / tf.where(alike, tf.ones_like(largest), largest)
    return tf.where(alike, tf.zeros_like(scaled), scaled), alike


def _regularised(covariance: tf.Tensor, epsilon: float, alike: tf.Tensor) -> tf.Tensor:
    """The matrix to factorise; the identity where that is impossible, lest the step fails."""
    identity = tf.eye(tf.shape(covariance)[0], dtype=covariance.dtype)
    size = tf.cast(tf.shape(covariance)[0], covariance.dtype)
    # In many channels epsilon's share would drown in the rounding of the largest eigenvalue.
    share = tf.maximum(epsilon / size, 32 * _precision(covariance))
    mixed = (1 - epsilon) * covariance + share * tf.linalg.trace(covariance) * identity
    usable = tf.logical_not(alike) & tf.reduce_all(tf.math.is_finite(mixed))
    return tf.where(usable, mixed, identity)


def _precision(tensor: tf.Tensor) -> float:
    """The distance from 1 to the next number of the tensor's type."""
    return 2.0**-52 if tensor.dtype == tf.float64 else 2.0**-23
