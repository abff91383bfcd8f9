"""Draws the correlation of two views' embeddings to the identity (Barlow Twins, eq. 1)."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from burn_tf._checks import check_range
from burn_tf.losses._batches import count, global_batch, squared_norm_of_product, standardised
from burn_tf.losses._vectors import check_views, view_pairs, wide_floats

# The authors' code standardises by a batch norm without parameters: this is its epsilon.
_EPSILON = 1e-5


def barlow_twins(embeddings: tf.Tensor, redundancy_weight: float = 5e-3) -> tf.Tensor:
    """Squared distance of two views' correlations from the identity, one value per global batch.

    With `a`, `b` two views of `embeddings`, each channel with mean 0 and deviation 1 over the
    batch of N images, `lambda = redundancy_weight`, averaged over all unordered pairs of views:

        C = a^T b / N
        sum_i (1 - C_ii)^2 + lambda sum_{i != j} C_ij^2

    Under a `tf.distribute` strategy N is the global batch: every replica gathers all embeddings
    and returns the same value. A channel that is constant over the batch has correlation 0.

    Args:
        embeddings: `[K, B, d]`, K >= 2 views, any float dtype; narrower ones are computed in
            float32.
        redundancy_weight: at least 0. Default 5e-3, the paper's.

    Returns:
        Scalar, float32 (float64 for float64 embeddings).

    Raises:
        ValueError: for a negative weight, another rank than 3, or a single view.

    Example:
        >>> import burn_tf, tensorflow as tf
        >>> from burn_tf.losses import barlow_twins
        >>> float(barlow_twins(tf.ones([2, 8, 5])))
        5.0

    Source: Zbontar et al., "Barlow Twins: Self-Supervised Learning via Redundancy Reduction",
        eq. 1 and 2, arXiv 2103.03230.

    Departs from source: eq. 2 divides by the deviation, here by sqrt(variance + 1e-5), as the
        authors' batch norm does; more than two views are averaged over their pairs.
    """
    check_range("redundancy_weight", redundancy_weight, low=0.0)
    (embeddings,) = wide_floats(embeddings)
    check_views("embeddings", embeddings)
    pairs = view_pairs("embeddings", global_batch(embeddings))
    values = [_of_pair(first, second, redundancy_weight) for first, second in pairs]
    return tf.add_n(values) / len(values)


def _of_pair(first: tf.Tensor, second: tf.Tensor, redundancy_weight: float) -> tf.Tensor:
    first, second = standardised(first, _EPSILON), standardised(second, _EPSILON)
    diagonal = tf.reduce_mean(first * second, axis=0)
    every_square = squared_norm_of_product(first, second) / tf.square(count(first))
    off_diagonal = every_square - tf.reduce_sum(tf.square(diagonal))
    return tf.reduce_sum(tf.square(1 - diagonal)) + redundancy_weight * off_diagonal


@tf.keras.utils.register_keras_serializable(package="burn_tf")
class BarlowTwinsLoss(tf.keras.losses.Loss):
    """`barlow_twins` as a Keras loss of the embeddings `[K, B, d]`; `y_true` is not used.

        sum_i (1 - C_ii)^2 + lambda sum_{i != j} C_ij^2,  C the correlation of two views

    Args:
        redundancy_weight: lambda, at least 0. Default 5e-3, the paper's.
        reduction: a `tf.keras.losses.Reduction`; there is one value per batch.
        name: of the loss.

    Raises:
        ValueError: for a negative weight; when called with a single view.

    Example:
        >>> import burn_tf, tensorflow as tf
        >>> float(burn_tf.losses.BarlowTwinsLoss()(None, tf.ones([2, 8, 5])))
        5.0

    Source: Zbontar et al., arXiv 2103.03230, eq. 1 and 2.

    Departs from source: an epsilon; see `barlow_twins`.
    """

    def __init__(
        self,
        redundancy_weight: float = 5e-3,
        reduction: str = tf.keras.losses.Reduction.AUTO,
        name: str = "barlow_twins",
    ) -> None:
        super().__init__(reduction=reduction, name=name)
        self.redundancy_weight = check_range("redundancy_weight", redundancy_weight, low=0.0)

    def call(self, y_true: tf.Tensor | None, y_pred: tf.Tensor) -> tf.Tensor:
        del y_true
        return barlow_twins(y_pred, self.redundancy_weight)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "redundancy_weight": self.redundancy_weight}
