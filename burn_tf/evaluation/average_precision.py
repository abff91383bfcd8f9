"""Average precision, the VOC07 way and the plain way; difficult images count neither way."""

from __future__ import annotations

from typing import Literal

import numpy as np

from burn_tf._checks import UserError, check_choice

Points = Literal["eleven", "all"]
_POINTS: tuple[Points, ...] = ("eleven", "all")
_IGNORED = -1


def precision_recall(
    scores: np.ndarray, targets: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What is found as the threshold falls, a row per different score.

    Equal scores are one threshold: their order, which no score decides, cannot flatter.

    Args:
        scores: float [N], higher is more certain, no NaN.
        targets: [N], 1 for positive, 0 for negative, -1 for what does not count.

    Returns:
        Thresholds, falling; number of positives found; number of images taken, each [M].
    """
    counted = targets != _IGNORED
    scores, positive = np.asarray(scores)[counted], np.asarray(targets)[counted] == 1
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    last = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True)) if len(ranked) else order
    return ranked[last], np.cumsum(positive[order])[last], last + 1


def average_precision(
    scores: np.ndarray, targets: np.ndarray, points: Points = "all"
) -> float | None:
    """Average precision of one class.

        eleven  1/11 sum_(r = 0, 0.1 .. 1) max(precision where recall >= r)
        all     sum_n (recall_n - recall_(n - 1)) precision_n

    Args:
        scores: float [N], higher is more certain, no NaN.
        targets: [N], 1 for positive, 0 for negative, -1 for what does not count (difficult).
        points: "eleven" is VOC2007's, "all" the plain sum over all thresholds.

    Returns:
        A value from 0 to 1; None where there is no positive, as there is nothing to find.

    Raises:
        UserError: another `points`, arrays of different lengths, or a score that is NaN.

    Example:
        >>> import numpy as np
        >>> from burn_tf.evaluation import average_precision
        >>> average_precision(np.array([0.9, 0.8, 0.7, 0.6]), np.array([1, 0, -1, 1]))
        0.8333333333333333

    Source: Everingham et al., The PASCAL Visual Object Classes (VOC) Challenge, IJCV 2010, sec.
        4.2; the plain sum as in information retrieval.
    Departs from source: the devkit breaks ties by order, here they are one threshold; recall is
        compared in whole numbers, where 0:0.1:1 can miss a point by rounding.
    """
    check_choice("points", points, _POINTS)
    if np.shape(scores) != np.shape(targets) or np.isnan(scores).any():
        raise UserError(
            "`scores` must be numbers, one per target. "
            f"Received: shapes {np.shape(scores)} and {np.shape(targets)}"
        )
    _, hits, taken = precision_recall(scores, targets)
    if not len(hits) or hits[-1] == 0:
        return None
    if points == "eleven":
        return eleven_point_average(hits, taken, int(hits[-1]))
    found = np.diff(hits, prepend=0)
    return float(np.sum(found / hits[-1] * (hits / taken)))


def eleven_point_average(hits: np.ndarray, taken: np.ndarray, positives: int) -> float:
    """1/11 sum_(r = 0, 0.1 .. 1) max(precision where recall >= r), 0 where recall ends before r.

    Args:
        hits: int [M], true positives found at each threshold, rising.
        taken: int [M], everything taken at each threshold.
        positives: number of positives there are, found or not; at least 1.

    Example:
        >>> import numpy as np
        >>> from burn_tf.evaluation.average_precision import eleven_point_average
        >>> round(eleven_point_average(np.array([1]), np.array([1]), 2) * 11, 6)
        6.0
    """
    precision = hits / taken
    reached = (10 * hits >= step * positives for step in range(11))
    return float(np.mean([precision[there].max(initial=0.0) for there in reached]))


def mean_average_precision(
    scores: np.ndarray, targets: np.ndarray, points: Points = "all"
) -> tuple[float | None, list[float | None]]:
    """Mean over the classes that have a positive, and each class on its own.

    Args:
        scores: float [N, C].
        targets: [N, C] of 1, 0 and -1, as in `average_precision`.
        points: as in `average_precision`.

    Returns:
        The mean, None where no class has a positive, and C values, None where a class has none.

    Example:
        >>> import numpy as np
        >>> from burn_tf.evaluation import mean_average_precision
        >>> mean_average_precision(np.eye(3), np.array([[1, 0, 0], [0, 1, 0], [0, 0, 0]]))
        (1.0, [1.0, 1.0, None])
    """
    own = [average_precision(s, t, points) for s, t in zip(scores.T, targets.T, strict=True)]
    there = [value for value in own if value is not None]
    return (float(np.mean(there)) if there else None), own
