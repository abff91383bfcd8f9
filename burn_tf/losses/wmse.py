"""Draws the whitened embeddings of an image's views together (W-MSE, eq. 3)."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from burn_tf._checks import check_range, check_rank
from burn_tf.losses._batches import global_batch
from burn_tf.losses._vectors import check_views, directions, view_pairs, wide_floats
from burn_tf.losses.whitening import whiten


def wmse(
    embeddings: tf.Tensor, epsilon: float = 1e-3, slices: tf.Tensor | None = None
) -> tf.Tensor:
    """Mean squared distance of whitened unit embeddings of two views, one value per global batch.

    With `w_j = whiten(embeddings[j])`, `hat(v) = v / ||v||_2`, averaged over images and over the
    K (K - 1) / 2 pairs of views:

        || hat w_j - hat w_l ||^2 = 2 - 2 cos(w_j, w_l)

    Each view's batch is whitened on its own, whole or in slices. Under a `tf.distribute` strategy
    it is the global batch: every replica gathers all embeddings and returns the same value. A batch
    of no more than d images can be whitened to a value near 0 whatever the images: use more than d.

    Args:
        embeddings: `[K, B, d]`, K >= 2 views, any float dtype; narrower ones are computed in
            float32.
        epsilon: of `whiten`, 0 < epsilon <= 1. Default 1e-3, ours.
        slices: places in the global batch, int32 `[S, N]`: each row is whitened for itself, and the
            loss is the mean over rows. None, the default: the whole batch is one.

    Returns:
        Scalar, float32 (float64 for float64 embeddings).

    Raises:
        ValueError: for an epsilon outside its range, another rank than 3, or a single view.

    Example:
        >>> import burn_tf, tensorflow as tf
        >>> from burn_tf.losses import wmse
        >>> view = tf.random.stateless_normal([8, 3], (0, 1))
        >>> round(float(wmse(tf.stack([view, 2 * view + 1]))), 3)
        0.0

    Source: Ermolov et al., "Whitening for Self-Supervised Representation Learning", eq. 2 to 5,
        arXiv 2007.06346.

    Departs from source: eq. 4 and 5 whiten all views by one matrix; as in the paper's batch slicing
        and the authors' code each view has its own.
    """
    check_range("epsilon", epsilon, low=0.0, low_open=True, high=1.0)
    (embeddings,) = wide_floats(embeddings)
    check_views("embeddings", embeddings)
    gathered = global_batch(embeddings)
    if slices is None:
        return _distance(gathered, epsilon)
    check_rank("slices", slices, 2)
    parts = tf.transpose(tf.gather(gathered, slices, axis=1), [1, 0, 2, 3])
    return tf.reduce_mean(tf.map_fn(lambda part: _distance(part, epsilon), parts))


def _distance(views: tf.Tensor, epsilon: float) -> tf.Tensor:
    """Of the views `[K, N, d]` of images that are whitened together."""
    units = tf.stack([directions(whiten(view, epsilon)) for view in tf.unstack(views)])
    pairs = view_pairs("embeddings", units)
    distances = [tf.reduce_sum(tf.square(first - second), axis=-1) for first, second in pairs]
    return tf.reduce_mean(tf.stack(distances))


@tf.keras.utils.register_keras_serializable(package="burn_tf")
class WMSELoss(tf.keras.losses.Loss):
    """`wmse` as a Keras loss of the embeddings `[K, B, d]`; `y_true` is not used.

        mean over pairs of views of 2 - 2 cos(w_j, w_l),  w_j = whiten(embeddings[j])

    Args:
        epsilon: of `whiten`, 0 < epsilon <= 1. Default 1e-3, ours.
        reduction: a `tf.keras.losses.Reduction`; there is one value per batch.
        name: of the loss.

    Raises:
        ValueError: for an epsilon outside its range; when called with a single view.

    Example:
        >>> import burn_tf, tensorflow as tf
        >>> view = tf.random.stateless_normal([8, 3], (0, 1))
        >>> round(float(burn_tf.losses.WMSELoss()(None, tf.stack([view, 2 * view + 1]))), 3)
        0.0

    Source: Ermolov et al., arXiv 2007.06346, eq. 2 to 5.

    Departs from source: see `wmse`.
    """

    def __init__(
        self,
        epsilon: float = 1e-3,
        reduction: str = tf.keras.losses.Reduction.AUTO,
        name: str = "wmse",
    ) -> None:
        super().__init__(reduction=reduction, name=name)
        self.epsilon = check_range("epsilon", epsilon, low=0.0, low_open=True, high=1.0)

    def call(self, y_true: tf.Tensor | None, y_pred: tf.Tensor) -> tf.Tensor:
        del y_true
        return wmse(y_pred, self.epsilon)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "epsilon": self.epsilon}
