"""How far a student's features are from a target's (BURN, eq. 2 and Table 6)."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from burn_tf._checks import check_choice, check_rank
from burn_tf.losses._vectors import check_matching, directions, wide_floats

KINDS = ("cosine", "l1", "l2", "normalized_l2")


def feature_similarity(target: tf.Tensor, student: tf.Tensor, kind: str = "cosine") -> tf.Tensor:
    """Distance of the student's features from the target's, one value per image.

    With `v1 = target`, `v2 = student`, `hat(v) = v / ||v||_2`:

        cosine:         1 - <hat v1, hat v2>
        l1:             mean_d |v1_d - v2_d|
        l2:             mean_d (v1_d - v2_d)^2
        normalized_l2:  || hat v1 - hat v2 ||^2 = 2 (1 - <hat v1, hat v2>)

    The target gets no gradient. A zero vector has no direction: its cosine and gradient are 0.

    Args:
        target: `[B, D]`, any float dtype; narrower ones are computed in float32.
        student: `[B, D]`.
        kind: `"cosine"` (default, the paper's eq. 2), `"l1"` or `"l2"` (its Table 6), or
            `"normalized_l2"` (the authors' code: twice the cosine's value and gradient).

    Returns:
        `[B]`, float32 (float64 for float64 features).

    Raises:
        ValueError: for an unknown kind or shapes that do not match.

    Example:
        >>> import burn_tf, tensorflow as tf
        >>> from burn_tf.losses import feature_similarity
        >>> float(feature_similarity(tf.constant([[1.0, 0.0]]), tf.constant([[0.0, 3.0]]))[0])
        1.0

    Source: Kim & Choi, CVPR 2022, sec. 3.2, eq. 2 and Table 6, arXiv 2110.08851.

    Departs from source: none for the cosine. The paper gives no formula for l1 and l2; ours compare
    the features as they are and average over the channels, so that the scale does not grow with D.
    """
    check_choice("kind", kind, KINDS)
    target, student = wide_floats(target, student)
    check_rank("target", target, 2)
    check_rank("student", student, 2)
    check_matching("target", target, "student", student)
    target = tf.stop_gradient(target)
    if kind in ("cosine", "normalized_l2"):
        distance = 1.0 - tf.reduce_sum(directions(target) * directions(student), axis=-1)
        return distance if kind == "cosine" else 2.0 * distance
    difference = student - target
    penalty = tf.abs(difference) if kind == "l1" else tf.square(difference)
    return tf.reduce_mean(penalty, axis=-1)


@tf.keras.utils.register_keras_serializable(package="burn_tf")
class FeatureSimilarityLoss(tf.keras.losses.Loss):
    """`feature_similarity` as a Keras loss: `y_true` are the target's features, without gradient.

        mean_b (1 - <hat v1, hat v2>)   for kind="cosine"

    Args:
        kind: `"cosine"` (default, the paper's eq. 2), `"l1"` or `"l2"` (its Table 6), or
            `"normalized_l2"` (the authors' code).
        reduction: a `tf.keras.losses.Reduction`; Keras' default averages over the batch.
        name: of the loss.

    Raises:
        ValueError: for an unknown kind.

    Example:
        >>> import burn_tf, tensorflow as tf
        >>> loss = burn_tf.losses.FeatureSimilarityLoss(kind="l2")
        >>> float(loss(tf.constant([[1.0, 2.0]]), tf.constant([[1.0, 4.0]])))
        2.0

    Source: Kim & Choi, CVPR 2022, sec. 3.2, eq. 2 and Table 6, arXiv 2110.08851.

    Departs from source: the paper gives no formula for l1 and l2; ours average over the channels.
    """

    def __init__(
        self,
        kind: str = "cosine",
        reduction: str = tf.keras.losses.Reduction.AUTO,
        name: str = "feature_similarity",
    ) -> None:
        super().__init__(reduction=reduction, name=name)
        self.kind = check_choice("kind", kind, KINDS)

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        return feature_similarity(y_true, y_pred, self.kind)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "kind": self.kind}
