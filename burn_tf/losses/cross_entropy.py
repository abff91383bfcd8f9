"""Cross entropy of a student's class distribution to a fixed target's (S2-BNN, ReActNet)."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from burn_tf._checks import check_range, check_rank
from burn_tf.losses._vectors import check_matching, wide_floats


def soft_cross_entropy(
    target_logits: tf.Tensor, student_logits: tf.Tensor, temperature: float = 0.2
) -> tf.Tensor:
    """Cross entropy of two softened class distributions, one value per image.

    With `p1 = softmax(target_logits / T)`, `p2 = softmax(student_logits / T)`, `T = temperature`:

        -sum_c p1_c log p2_c

    The target gets no gradient; the student's is that of `kl_divergence`, from which the value
    differs by the target's entropy.

    Args:
        target_logits: `[B, C]`, any float dtype; narrower ones are computed in float32.
        student_logits: `[B, C]`.
        temperature: above 0. Default 0.2, S2-BNN's (ReActNet: 1).

    Returns:
        `[B]`, float32 (float64 where one of the two is float64).

    Raises:
        ValueError: for a temperature not above 0, or unequal shapes.

    Example:
        >>> import burn_tf, tensorflow as tf
        >>> from burn_tf.losses import soft_cross_entropy
        >>> round(float(soft_cross_entropy(tf.zeros([1, 4]), tf.zeros([1, 4]))[0]), 4)
        1.3863

    Source: Shen et al., "S2-BNN: Bridging the Gap Between Self-Supervised Real and 1-bit Neural
        Networks via Guided Distribution Calibration", arXiv 2102.08946; Liu et al., "ReActNet",
        sec. 4.3 (distributional loss), arXiv 2003.03488.

    Departs from source: none; ReActNet's value is this one less the target's entropy.
    """
    check_range("temperature", temperature, low=0.0, low_open=True)
    target_logits, student_logits = wide_floats(target_logits, student_logits)
    check_rank("target_logits", target_logits, 2)
    check_rank("student_logits", student_logits, 2)
    check_matching("target_logits", target_logits, "student_logits", student_logits)
    target = tf.nn.softmax(tf.stop_gradient(target_logits) / temperature)
    return -tf.reduce_sum(target * tf.nn.log_softmax(student_logits / temperature), axis=-1)


@tf.keras.utils.register_keras_serializable(package="burn_tf")
class SoftCrossEntropyLoss(tf.keras.losses.Loss):
    """`soft_cross_entropy` as a Keras loss: `y_true` are the target's logits, `y_pred` the others.

        mean_b -sum_c p1 log p2,  p = softmax(logits / temperature)

    Args:
        temperature: above 0. Default 0.2, S2-BNN's.
        reduction: a `tf.keras.losses.Reduction`; Keras' default averages over the batch.
        name: of the loss.

    Raises:
        ValueError: for a temperature not above 0; when called with unequal shapes.

    Example:
        >>> import burn_tf, tensorflow as tf
        >>> loss = burn_tf.losses.SoftCrossEntropyLoss(temperature=1.0)
        >>> round(float(loss(tf.zeros([1, 4]), tf.zeros([1, 4]))), 4)
        1.3863

    Source: Shen et al., arXiv 2102.08946; Liu et al., arXiv 2003.03488, sec. 4.3.

    Departs from source: none.
    """

    def __init__(
        self,
        temperature: float = 0.2,
        reduction: str = tf.keras.losses.Reduction.AUTO,
        name: str = "soft_cross_entropy",
    ) -> None:
        super().__init__(reduction=reduction, name=name)
        self.temperature = check_range("temperature", temperature, low=0.0, low_open=True)

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        return soft_cross_entropy(y_true, y_pred, self.temperature)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "temperature": self.temperature}
