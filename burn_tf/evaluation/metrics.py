"""Top-k accuracy with a rule for ties that cannot flatter a constant prediction."""

from __future__ import annotations

import numpy as np


def top_k_accuracy(scores: np.ndarray, labels: np.ndarray, k: int = 1) -> float:
    """Percent of rows whose label is among the k highest scores.

    Equal scores rank by class index, lower first, so that a classifier which gives every class the
    same score is right only on class 0 and not on everything.

    Args:
        scores: float [N, C], no NaN.
        labels: int [N], each in [0, C).
        k: How many classes count as an answer, 1 <= k <= C.

    Returns:
        A value from 0 to 100.

    Example:
        >>> import numpy as np
        >>> from burn_tf.evaluation.metrics import top_k_accuracy
        >>> top_k_accuracy(np.array([[0.1, 0.9], [0.5, 0.5]]), np.array([1, 1]))
        50.0
    """
    own = np.take_along_axis(scores, labels[:, None], axis=1)
    before = np.arange(scores.shape[1])[None, :] < labels[:, None]
    rank = np.sum((scores > own) | ((scores == own) & before), axis=1)
    return float(100.0 * np.mean(rank < k))


def classification_metrics(scores: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """`top1`, and `top5` where more than five classes make it say something, in percent."""
    metrics = {"top1": top_k_accuracy(scores, labels, 1)}
    if scores.shape[1] > 5:
        metrics["top5"] = top_k_accuracy(scores, labels, 5)
    return metrics
