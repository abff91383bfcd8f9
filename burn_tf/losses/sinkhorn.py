"""Shares a batch out evenly among prototypes (SwAV, sec. 3.1)."""

from __future__ import annotations

import tensorflow as tf

from burn_tf._checks import check_integer, check_range, check_rank
from burn_tf.losses._vectors import wide_floats


def sinkhorn(scores: tf.Tensor, epsilon: float = 0.05, iterations: int = 3) -> tf.Tensor:
    """Soft codes of N images over P prototypes, by Sinkhorn and Knopp's alternating scaling.

    With `C = scores` the codes are the `Q = diag(u) exp(C / epsilon) diag(v)` whose

        rows sum to 1,  columns sum to N / P

    Each iteration scales the columns, then the rows: rows are exact, columns to the accuracy that
    `iterations` allow. Works with logarithms, so that no score over- or underflows. The codes get
    no gradient. Nothing is gathered here: pass the scores of the global batch.

    Args:
        scores: `[N, P]`, products of unit embeddings and unit prototypes; any float dtype, narrower
            ones are computed in float32.
        epsilon: above 0, smoothness of the codes. Default 0.05, the paper's.
        iterations: at least 1. Default 3, the paper's.

    Returns:
        `[N, P]`, float32 (float64 for float64 scores), each at least 0.

    Raises:
        ValueError: for an epsilon not above 0, iterations below 1, or another rank than 2.

    Example:
        >>> import burn_tf, tensorflow as tf
        >>> from burn_tf.losses import sinkhorn
        >>> sinkhorn(tf.eye(2)).numpy().round(3).tolist()
        [[1.0, 0.0], [0.0, 1.0]]

    Source: Caron et al., "Unsupervised Learning of Visual Features by Contrasting Cluster
        Assignments", eq. 3 to 5, arXiv 2006.09882.

    Departs from source: codes of an image sum to 1, as in the authors' code; eq. 4 has 1 / N.
    """
    check_range("epsilon", epsilon, low=0.0, low_open=True)
    check_integer("iterations", iterations, low=1)
    (scores,) = wide_floats(scores)
    check_rank("scores", scores, 2)
    codes = tf.stop_gradient(scores) / epsilon
    for _ in range(iterations):
        codes -= tf.reduce_logsumexp(codes, axis=0, keepdims=True)
        codes -= tf.reduce_logsumexp(codes, axis=1, keepdims=True)
    return tf.exp(codes)
