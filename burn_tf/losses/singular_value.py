"""Keeps the covariance of the predictions near the identity (MSBReg, eq. 5 and 6)."""

from __future__ import annotations

import tensorflow as tf

from burn_tf import distribute
from burn_tf._checks import check_rank
from burn_tf.losses._vectors import wide_floats


def singular_value(predictions: tf.Tensor) -> tf.Tensor:
    """Squared distance of each view's covariance from the identity, one value for the global batch.

    With `p_j = predictions[j]`, not normalised:

        S_j = 1/(B-1) sum_i (p_ij - mean)(p_ij - mean)^T
        1/K sum_j || S_j - I_d ||_F^2

    Under a `tf.distribute` strategy B is the global batch: every replica gathers all predictions
    and returns the same value, which the caller divides by the number of replicas like any loss.

    Args:
        predictions: `[K, B, d]`, any float dtype; narrower ones are computed in float32.

    Returns:
        Scalar, float32 (float64 for float64 predictions). A batch of one image has covariance 0.

    Raises:
        ValueError: for predictions not of rank 3.

    Example:
        >>> import burn_tf, tensorflow as tf
        >>> from burn_tf.losses import singular_value
        >>> float(singular_value(tf.zeros([2, 8, 5])))
        5.0

    Source: Moon et al., "An Embedding-Dynamic Approach to Self-supervised Learning", eq. 5 and 6.

    Departs from source: none; the Frobenius norm needs no singular values.
    """
    (predictions,) = wide_floats(predictions)
    check_rank("predictions", predictions, 3)
    predictions = distribute.all_gather(predictions, axis=1)
    centred = predictions - tf.reduce_mean(predictions, axis=1, keepdims=True)
    freedom = tf.cast(tf.maximum(tf.shape(predictions)[1] - 1, 1), predictions.dtype)
    covariance = tf.matmul(centred, centred, transpose_a=True) / freedom
    identity = tf.eye(tf.shape(predictions)[2], dtype=predictions.dtype)
    return tf.reduce_mean(tf.reduce_sum(tf.square(covariance - identity), axis=[1, 2]))


@tf.keras.utils.register_keras_serializable(package="burn_tf")
class SingularValueLoss(tf.keras.losses.Loss):
    """`singular_value` as a Keras loss of the predictions `[K, B, d]`; `y_true` is not used.

        1/K sum_j || S_j - I_d ||_F^2,  S_j the covariance of view j over the batch

    Args:
        reduction: a `tf.keras.losses.Reduction`; there is one value per batch.
        name: of the loss.

    Raises:
        ValueError: when called with predictions not of rank 3.

    Example:
        >>> import burn_tf, tensorflow as tf
        >>> float(burn_tf.losses.SingularValueLoss()(None, tf.zeros([2, 8, 5])))
        5.0

    Source: Moon et al., "An Embedding-Dynamic Approach to Self-supervised Learning", eq. 5 and 6.

    Departs from source: none.
    """

    def __init__(
        self,
        reduction: str = tf.keras.losses.Reduction.AUTO,
        name: str = "singular_value",
    ) -> None:
        super().__init__(reduction=reduction, name=name)

    def call(self, y_true: tf.Tensor | None, y_pred: tf.Tensor) -> tf.Tensor:
        del y_true
        return singular_value(y_pred)
