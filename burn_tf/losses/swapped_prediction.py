"""Predicts the code of one view from another (SwAV, eq. 1 and 2)."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from burn_tf._checks import UserError, check_range, check_rank
from burn_tf.losses._vectors import check_matching, check_views, wide_floats


def swapped_prediction(codes: tf.Tensor, scores: tf.Tensor, temperature: float = 0.1) -> tf.Tensor:
    """Cross entropy of each view's class probabilities to the other views' codes, per image.

    With `q_g = codes[g]`, `p_j = softmax(scores[j] / T)`, `T = temperature`, averaged over all
    pairs g < G, j < K, j != g:

        -sum_p q_g log p_j

    The codes get no gradient.

    Args:
        codes: `[G, B, P]`, codes of the first G of the K views, as `sinkhorn` gives them.
        scores: `[K, B, P]`, products of unit embeddings and unit prototypes of all K >= 2 views,
            K >= G; any float dtype, narrower ones are computed in float32.
        temperature: above 0. Default 0.1, the paper's.

    Returns:
        `[B]`, float32 (float64 where one of the inputs is float64).

    Raises:
        ValueError: for a temperature not above 0, a single view, or more codes than views.

    Example:
        >>> import burn_tf, tensorflow as tf
        >>> from burn_tf.losses import swapped_prediction
        >>> codes = tf.constant([[[1.0, 0.0]], [[0.0, 1.0]]])
        >>> round(float(swapped_prediction(codes, tf.zeros([2, 1, 2]))[0]), 4)
        0.6931

    Source: Caron et al., "Unsupervised Learning of Visual Features by Contrasting Cluster
        Assignments", eq. 1, 2 and 6, arXiv 2006.09882.

    Departs from source: the mean over pairs, as in the authors' code; eq. 1 is their sum.
    """
    check_range("temperature", temperature, low=0.0, low_open=True)
    codes, scores = wide_floats(codes, scores)
    check_rank("codes", codes, 3)
    views = check_views("scores", scores)
    check_matching("codes", codes, "scores", scores)
    coded = codes.shape[0]
    if coded is None or not 1 <= coded <= views:
        raise UserError(f"`codes` must belong to 1 to {views} views. Received: {codes.shape}")
    log_probabilities = tf.nn.log_softmax(scores / temperature)
    entropies = -tf.einsum("gbp,jbp->gjb", tf.stop_gradient(codes), log_probabilities)
    different = 1 - tf.eye(coded, views, dtype=entropies.dtype)
    return tf.einsum("gjb,gj->b", entropies, different) / (coded * (views - 1))


@tf.keras.utils.register_keras_serializable(package="burn_tf")
class SwappedPredictionLoss(tf.keras.losses.Loss):
    """`swapped_prediction` as a Keras loss: `y_true` are the codes, `y_pred` the scores.

        mean_b mean_{g, j != g} -sum_p q_g log p_j,  p_j = softmax(scores[j] / temperature)

    Args:
        temperature: above 0. Default 0.1, the paper's.
        reduction: a `tf.keras.losses.Reduction`; Keras' default averages over the batch.
        name: of the loss.

    Raises:
        ValueError: for a temperature not above 0; when called with shapes that do not match.

    Example:
        >>> import burn_tf, tensorflow as tf
        >>> codes = tf.constant([[[1.0, 0.0]], [[0.0, 1.0]]])
        >>> round(float(burn_tf.losses.SwappedPredictionLoss()(codes, tf.zeros([2, 1, 2]))), 4)
        0.6931

    Source: Caron et al., arXiv 2006.09882, eq. 1 and 2.

    Departs from source: the mean over pairs; see `swapped_prediction`.
    """

    def __init__(
        self,
        temperature: float = 0.1,
        reduction: str = tf.keras.losses.Reduction.AUTO,
        name: str = "swapped_prediction",
    ) -> None:
        super().__init__(reduction=reduction, name=name)
        self.temperature = check_range("temperature", temperature, low=0.0, low_open=True)

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        return swapped_prediction(y_true, y_pred, self.temperature)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "temperature": self.temperature}
