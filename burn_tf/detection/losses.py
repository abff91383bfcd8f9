"""RetinaNet's two losses, which stay finite for batches without any object."""

from __future__ import annotations

import tensorflow as tf

_BACKGROUND, _IGNORED = -1.0, -2.0


def focal_loss(
    targets: tf.Tensor, logits: tf.Tensor, *, alpha: float = 0.25, gamma: float = 2.0
) -> tf.Tensor:
    """Focal loss of every anchor, summed over its classes, from logits and without clipping.

        alpha_t (1 - p_t)^gamma CE(target, logit)        p_t: probability of the right answer

    Args:
        targets: float [B, A, C], 0 or 1.
        logits: float [B, A, C].
        alpha: weight of positives, 1 - alpha that of negatives. Default 0.25 (the paper's).
        gamma: at least 0. Default 2 (the paper's).

    Returns:
        float [B, A].

    Source: Lin et al., arXiv 1708.02002, eq. 5.
    Departs from source: none.
    """
    crossed = tf.nn.sigmoid_cross_entropy_with_logits(targets, logits)
    wrong = tf.sigmoid(tf.where(targets > 0.5, -logits, logits))
    weight = tf.where(targets > 0.5, alpha, 1.0 - alpha)
    return tf.reduce_sum(weight * wrong**gamma * crossed, axis=-1)


def retinanet_losses(
    logits: tf.Tensor, deltas: tf.Tensor, classes: tf.Tensor, targets: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Focal loss of the classes and smooth L1 of the boxes, over the number of positive anchors.

    The number counts as 1 where there is none: then the background alone is learned, and nothing is
    divided by zero.

    Args:
        logits: float [B, A, C].
        deltas: float [B, A, 4].
        classes: float [B, A]: class, -1 for background, -2 for what does not count.
        targets: float [B, A, 4], the deltas of positive anchors; others may hold anything.

    Returns:
        Two float32 scalars.

    Source: Lin et al., arXiv 1708.02002; smooth L1 with the mean over four deltas as in KerasCV.
    Departs from source: KerasCV gives batches without any object the weight 0.
    """
    logits, deltas = tf.cast(logits, tf.float32), tf.cast(deltas, tf.float32)
    positive = classes > _BACKGROUND
    number = tf.maximum(tf.reduce_sum(tf.cast(positive, tf.float32)), 1.0)
    wanted = tf.one_hot(tf.cast(classes, tf.int32), logits.shape[-1])
    of_classes = tf.where(classes > _IGNORED, focal_loss(wanted, logits), 0.0)
    # Chosen before it is squared: what lies behind a `where` still gets a gradient, 0 times it.
    off = tf.abs(tf.where(positive[..., None], deltas - targets, 0.0))
    of_boxes = tf.reduce_mean(tf.where(off < 1.0, 0.5 * off**2, off - 0.5), axis=-1)
    return tf.reduce_sum(of_classes) / number, tf.reduce_sum(of_boxes) / number
