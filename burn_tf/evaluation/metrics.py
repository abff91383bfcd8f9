"""Top-k accuracy with a rule for ties that cannot flatter a constant prediction."""

from __future__ import annotations

import numpy as np

# Rows compared at a time: 50,000 x 1,000 scores would need 150 MB of truth values otherwise.
_ROWS = 4096


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
    return _percent(label_ranks(scores, labels) < k)


def label_ranks(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """int64 [N]: how many classes rank before each row's label, by score and then by index."""
    ranks = np.empty(len(labels), np.int64)
    for start in range(0, len(labels), _ROWS):
        part, own_labels = scores[start : start + _ROWS], labels[start : start + _ROWS, None]
        own = np.take_along_axis(part, own_labels, axis=1)
        before = np.arange(part.shape[1])[None, :] < own_labels
        ranks[start : start + _ROWS] = np.sum((part > own) | ((part == own) & before), axis=1)
    return ranks


def _percent(right: np.ndarray) -> float:
    return float(100.0 * np.mean(right))


def classification_metrics(scores: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """`top1`, and `top5` where more than five classes make it say something, in percent."""
    return rank_metrics(label_ranks(scores, labels), scores.shape[1])


def rank_metrics(ranks: np.ndarray, num_classes: int) -> dict[str, float]:
    """As `classification_metrics`, from what `label_ranks` gives."""
    metrics = {"top1": _percent(ranks < 1)}
    if num_classes > 5:
        metrics["top5"] = _percent(ranks < 5)
    return metrics
