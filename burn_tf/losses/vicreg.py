"""VICReg's three terms: views that agree, channels that vary, channels that do not covary."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from burn_tf._checks import check_choice, check_range, check_rank
from burn_tf.losses._batches import centred, freedom, global_batch, squared_norm_of_product
from burn_tf.losses._vectors import view_pairs, wide_floats

FORMS = ("algorithm_1", "equation_5")


def invariance(embeddings: tf.Tensor, form: str = "algorithm_1") -> tf.Tensor:
    """Squared distance of an image's views, averaged over their pairs, one value per image.

    With `z_j = embeddings[j]`, not normalised, for each pair of views:

        equation_5:   || z_j - z_l ||^2
        algorithm_1:  || z_j - z_l ||^2 / d

    Args:
        embeddings: `[K, B, d]`, K >= 2 views, any float dtype; narrower ones are computed in
            float32.
        form: `"algorithm_1"` (default: the paper's listing and the authors' code, which the weights
            25, 25, 1 belong to) or `"equation_5"`.

    Returns:
        `[B]`, float32 (float64 for float64 embeddings).

    Raises:
        ValueError: for an unknown form, another rank than 3, or a single view.

    Example:
        >>> import burn_tf, tensorflow as tf
        >>> from burn_tf.losses import invariance
        >>> views = tf.constant([[[1.0, 0.0]], [[0.0, 1.0]]])
        >>> [float(invariance(views, form)[0]) for form in ("algorithm_1", "equation_5")]
        [1.0, 2.0]

    Source: Bardes et al., "VICReg: Variance-Invariance-Covariance Regularization for
        Self-Supervised Learning", eq. 5 and Algorithm 1, arXiv 2105.04906.

    Departs from source: none; eq. 5 and Algorithm 1 disagree, and both are offered.
    """
    check_choice("form", form, FORMS)
    (embeddings,) = wide_floats(embeddings)
    reduce = tf.reduce_sum if form == "equation_5" else tf.reduce_mean
    pairs = view_pairs("embeddings", embeddings)
    return tf.add_n([reduce(tf.square(a - b), axis=-1) for a, b in pairs]) / len(pairs)


def variance(embeddings: tf.Tensor, target: float = 1.0, epsilon: float = 1e-4) -> tf.Tensor:
    """How far the channels' deviations fall short of `target`, one value per global batch.

    With `z_j = embeddings[j]`, `Var` over the batch of N images with divisor N - 1:

        v_j = 1/d sum_i max(0, target - sqrt(Var(z_ji) + epsilon)),   2/K sum_j v_j

    For two views this is eq. 6's `v_1 + v_2`, for more its mean over their pairs. Under a
    `tf.distribute` strategy N is the global batch, and every replica returns the same value.

    Args:
        embeddings: `[K, B, d]`, any float dtype; narrower ones are computed in float32.
        target: gamma, above 0. Default 1, the paper's.
        epsilon: above 0, keeps the gradient finite. Default 1e-4, the paper's.

    Returns:
        Scalar, float32 (float64 for float64 embeddings).

    Raises:
        ValueError: for a target or epsilon not above 0, or another rank than 3.

    Example:
        >>> import burn_tf, tensorflow as tf
        >>> from burn_tf.losses import variance
        >>> round(float(variance(tf.ones([2, 8, 5]))), 4)
        1.98

    Source: Bardes et al., arXiv 2105.04906, eq. 1, 2 and 6.

    Departs from source: none; the authors' code halves this term.
    """
    check_range("target", target, low=0.0, low_open=True)
    check_range("epsilon", epsilon, low=0.0, low_open=True)
    differences = _centred_global_batch(embeddings)
    squares = tf.reduce_sum(tf.square(differences), axis=1) / freedom(differences)
    return 2 * tf.reduce_mean(tf.nn.relu(target - tf.sqrt(squares + epsilon)))


def covariance(embeddings: tf.Tensor) -> tf.Tensor:
    """Squared covariances of different channels, one value per global batch.

    With `C_j` the covariance matrix of view j over the batch of N images, divisor N - 1:

        c_j = 1/d sum_{i != l} (C_j)_il^2,   2/K sum_j c_j

    For two views this is eq. 6's `c_1 + c_2`, for more its mean over their pairs. Under a
    `tf.distribute` strategy N is the global batch, and every replica returns the same value.

    Args:
        embeddings: `[K, B, d]`, any float dtype; narrower ones are computed in float32.

    Returns:
        Scalar, float32 (float64 for float64 embeddings).

    Raises:
        ValueError: for another rank than 3.

    Example:
        >>> import burn_tf, tensorflow as tf
        >>> from burn_tf.losses import covariance
        >>> float(covariance(tf.constant([[[1.0, 1.0], [-1.0, -1.0]]] * 2)))
        8.0

    Source: Bardes et al., arXiv 2105.04906, eq. 3, 4 and 6.

    Departs from source: none.
    """
    differences = _centred_global_batch(embeddings)
    variances = tf.reduce_sum(tf.square(differences), axis=1) / freedom(differences)
    every = squared_norm_of_product(differences, differences) / tf.square(freedom(differences))
    off_diagonal = every - tf.reduce_sum(tf.square(variances), axis=1)
    return 2 * tf.reduce_mean(off_diagonal) / tf.cast(tf.shape(variances)[1], every.dtype)


def _centred_global_batch(embeddings: tf.Tensor) -> tf.Tensor:
    (embeddings,) = wide_floats(embeddings)
    check_rank("embeddings", embeddings, 3)
    return centred(global_batch(embeddings))


@tf.keras.utils.register_keras_serializable(package="burn_tf")
class VICRegLoss(tf.keras.losses.Loss):
    """VICReg's weighted sum as a Keras loss of the embeddings `[K, B, d]`; `y_true` is not used.

        lambda invariance + mu variance + nu covariance

    Args:
        invariance_weight: lambda, at least 0. Default 25, the paper's.
        variance_weight: mu, at least 0. Default 25, the paper's.
        covariance_weight: nu, at least 0. Default 1, the paper's.
        form: of the invariance, `"algorithm_1"` (default) or `"equation_5"`.
        reduction: a `tf.keras.losses.Reduction`; Keras' default averages over the batch.
        name: of the loss.

    Raises:
        ValueError: for a negative weight or an unknown form; when called with a single view.

    Example:
        >>> import burn_tf, tensorflow as tf
        >>> round(float(burn_tf.losses.VICRegLoss()(None, tf.ones([2, 8, 5]))), 4)
        49.5

    Source: Bardes et al., arXiv 2105.04906, eq. 6.

    Departs from source: see the three terms.
    """

    def __init__(
        self,
        invariance_weight: float = 25.0,
        variance_weight: float = 25.0,
        covariance_weight: float = 1.0,
        form: str = "algorithm_1",
        reduction: str = tf.keras.losses.Reduction.AUTO,
        name: str = "vicreg",
    ) -> None:
        super().__init__(reduction=reduction, name=name)
        self.invariance_weight = check_range("invariance_weight", invariance_weight, low=0.0)
        self.variance_weight = check_range("variance_weight", variance_weight, low=0.0)
        self.covariance_weight = check_range("covariance_weight", covariance_weight, low=0.0)
        self.form = check_choice("form", form, FORMS)

    def call(self, y_true: tf.Tensor | None, y_pred: tf.Tensor) -> tf.Tensor:
        del y_true
        return (
            self.invariance_weight * invariance(y_pred, self.form)
            + self.variance_weight * variance(y_pred)
            + self.covariance_weight * covariance(y_pred)
        )

    def get_config(self) -> dict[str, Any]:
        names = ("invariance_weight", "variance_weight", "covariance_weight", "form")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
