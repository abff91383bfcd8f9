"""Divergence between the class distributions of a target and a student (BURN, eq. 1)."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from burn_tf._checks import check_choice, check_range, check_rank
from burn_tf.losses._vectors import check_matching, wide_floats

DIRECTIONS = ("target_student", "student_target")


def kl_divergence(
    target_logits: tf.Tensor,
    student_logits: tf.Tensor,
    temperature: float = 0.2,
    direction: str = "target_student",
) -> tf.Tensor:
    """Kullback-Leibler divergence of two softened class distributions, one value per image.

    With `p1 = softmax(target_logits / T)`, `p2 = softmax(student_logits / T)`, `T = temperature`:

        target_student:  sum_c p1_c (log p1_c - log p2_c)
        student_target:  sum_c p2_c (log p2_c - log p1_c)

    Both sides get a gradient: BURN trains the target's classifier too.

    Args:
        target_logits: `[B, C]`, any float dtype; narrower ones are computed in float32.
        student_logits: `[B, C]`.
        temperature: above 0. Default 0.2, the authors' code's; the paper names none.
        direction: `"target_student"` (default, eq. 1) or `"student_target"` (Algorithm 1).

    Returns:
        `[B]`, float32 (float64 for float64 logits), never below 0 but for rounding.

    Raises:
        ValueError: for an unknown direction, a temperature not above 0, or unequal shapes.

    Example:
        >>> import burn_tf, tensorflow as tf
        >>> from burn_tf.losses import kl_divergence
        >>> logits = tf.constant([[1.0, 2.0, 3.0]])
        >>> float(kl_divergence(logits, logits)[0])
        0.0

    Source: Kim & Choi, CVPR 2022, sec. 3.1, eq. 1 and Algorithm 1, arXiv 2110.08851.

    Departs from source: none; eq. 1 and Algorithm 1 disagree, and both are offered.
    """
    check_choice("direction", direction, DIRECTIONS)
    check_range("temperature", temperature, low=0.0, low_open=True)
    target_logits, student_logits = wide_floats(target_logits, student_logits)
    check_rank("target_logits", target_logits, 2)
    check_rank("student_logits", student_logits, 2)
    check_matching("target_logits", target_logits, "student_logits", student_logits)
    log_target = tf.nn.log_softmax(target_logits / temperature)
    log_student = tf.nn.log_softmax(student_logits / temperature)
    if direction == "student_target":
        log_target, log_student = log_student, log_target
    return tf.reduce_sum(tf.exp(log_target) * (log_target - log_student), axis=-1)


@tf.keras.utils.register_keras_serializable(package="burn_tf")
class KLDivergenceLoss(tf.keras.losses.Loss):
    """`kl_divergence` as a Keras loss: `y_true` are the target's logits, `y_pred` the student's.

        mean_b sum_c p1 (log p1 - log p2),  p = softmax(logits / temperature)

    Args:
        temperature: above 0. Default 0.2, the authors' code's.
        direction: `"target_student"` (default, eq. 1) or `"student_target"` (Algorithm 1).
        reduction: a `tf.keras.losses.Reduction`; Keras' default averages over the batch.
        name: of the loss.

    Raises:
        ValueError: for an unknown direction, or a temperature not above 0.

    Example:
        >>> import burn_tf, tensorflow as tf
        >>> loss = burn_tf.losses.KLDivergenceLoss(temperature=1.0)
        >>> round(float(loss(tf.constant([[0.0, 0.0]]), tf.constant([[0.0, 1.0]]))), 4)
        0.1201

    Source: Kim & Choi, CVPR 2022, sec. 3.1, eq. 1 and Algorithm 1, arXiv 2110.08851.

    Departs from source: none.
    """

    def __init__(
        self,
        temperature: float = 0.2,
        direction: str = "target_student",
        reduction: str = tf.keras.losses.Reduction.AUTO,
        name: str = "kl_divergence",
    ) -> None:
        super().__init__(reduction=reduction, name=name)
        self.temperature = check_range("temperature", temperature, low=0.0, low_open=True)
        self.direction = check_choice("direction", direction, DIRECTIONS)

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        return kl_divergence(y_true, y_pred, self.temperature, self.direction)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "temperature": self.temperature,
            "direction": self.direction,
        }
