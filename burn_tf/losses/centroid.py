"""Pulls the prediction of every view to the centroid of the target's views (MSBReg, eq. 3)."""

from __future__ import annotations

import tensorflow as tf

from burn_tf._checks import check_rank
from burn_tf.losses._vectors import check_matching, directions, wide_floats


def centroid(targets: tf.Tensor, predictions: tf.Tensor) -> tf.Tensor:
    """Mean squared distance of the predictions' directions from the targets' centroid, per image.

    With `z'_l = targets[l]`, `p_j = predictions[j]`, `hat(v) = v / ||v||_2`:

        1/K sum_j || hat p_j - 1/K sum_l hat z'_l ||^2

    The targets get no gradient. A zero vector has no direction and counts as 0; so is its gradient.

    Args:
        targets: `[K, B, d]`, any float dtype; narrower ones are computed in float32.
        predictions: `[K, B, d]`; its K may differ from the targets'.

    Returns:
        `[B]`, float32 (float64 for float64 vectors).

    Raises:
        ValueError: for shapes that do not match.

    Example:
        >>> import burn_tf, tensorflow as tf
        >>> from burn_tf.losses import centroid
        >>> views = tf.constant([[[1.0, 0.0]], [[0.0, 1.0]]])
        >>> centroid(views, views).numpy().tolist()
        [0.5]

    Source: Moon et al., "An Embedding-Dynamic Approach to Self-supervised Learning", eq. 3.

    Departs from source: none.
    """
    targets, predictions = wide_floats(targets, predictions)
    check_rank("targets", targets, 3)
    check_rank("predictions", predictions, 3)
    check_matching("targets", targets, "predictions", predictions)
    target_directions = directions(tf.stop_gradient(targets))
    centre = tf.reduce_mean(target_directions, axis=0, keepdims=True)
    squared = tf.reduce_sum(tf.square(directions(predictions) - centre), axis=-1)
    return tf.reduce_mean(squared, axis=0)


@tf.keras.utils.register_keras_serializable(package="burn_tf")
class CentroidLoss(tf.keras.losses.Loss):
    """`centroid` as a Keras loss: `y_true` are the targets `[K, B, d]`, `y_pred` the predictions.

        mean_b 1/K sum_j || hat p_j - 1/K sum_l hat z'_l ||^2

    Args:
        reduction: a `tf.keras.losses.Reduction`; Keras' default averages over the batch.
        name: of the loss.

    Raises:
        ValueError: when called with shapes that do not match.

    Example:
        >>> import burn_tf, tensorflow as tf
        >>> views = tf.constant([[[1.0, 0.0]], [[0.0, 1.0]]])
        >>> float(burn_tf.losses.CentroidLoss()(views, views))
        0.5

    Source: Moon et al., "An Embedding-Dynamic Approach to Self-supervised Learning", eq. 3.

    Departs from source: none.
    """

    def __init__(
        self,
        reduction: str = tf.keras.losses.Reduction.AUTO,
        name: str = "centroid",
    ) -> None:
        super().__init__(reduction=reduction, name=name)

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        return centroid(y_true, y_pred)
