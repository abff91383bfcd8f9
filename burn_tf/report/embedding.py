"""Two-dimensional view of features: principal components, drawn by class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from burn_tf._checks import UserError, check_integer
from burn_tf.report.charts import Chart, scatter_chart

_SHUFFLE_SEED = 20220618


def principal_components(features: np.ndarray, count: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Projects rows on the directions of largest variance.

    With X the centred features and X = U S V^T: points = U S (first columns), and the share of
    component i is S_i^2 / sum_j S_j^2. A component's sign is such that the entry of V with the
    largest magnitude is positive, so that equal features give equal pictures.

    Args:
        features: float [N, D], finite, N >= 1.
        count: components wanted, at least 1; missing ones (N or D too small) are zero.

    Returns:
        Points, float64 [N, count], and shares of the variance, float64 [count].

    Raises:
        UserError: wrong rank, no row, or a value that is not finite.

    Example:
        >>> points, shares = principal_components(np.array([[0.0, 0.0], [3.0, 4.0]]))
        >>> points[:, 0].round(6).tolist(), shares.round(6).tolist()
        ([-2.5, 2.5], [1.0, 0.0])
    """
    check_integer("count", count, low=1)
    data = np.asarray(features, np.float64)
    if data.ndim != 2 or not data.size or not np.isfinite(data).all():
        raise UserError(
            "`features` must be finite numbers of shape [N, D] with N, D >= 1. "
            f"Received: shape {data.shape}"
        )
    left, sizes, right = np.linalg.svd(data - data.mean(axis=0), full_matrices=False)
    largest = right[np.arange(len(right)), np.argmax(np.abs(right), axis=1)]
    points = (left * sizes * np.where(largest < 0, -1.0, 1.0))[:, :count]
    total = float((sizes**2).sum())
    shares = (sizes**2 / total if total > 0 else np.zeros_like(sizes))[:count]
    missing = count - len(shares)
    return np.pad(points, ((0, 0), (0, missing))), np.pad(shares, (0, missing))


def embedding_scatter(
    features: np.ndarray,
    labels: Sequence[int | str] | np.ndarray | None = None,
    *,
    title: str = "Features, two principal components",
    class_names: Sequence[str] | None = None,
    max_points: int = 600,
) -> Chart:
    """Draws the first two principal components of features, coloured by class.

    The components are those of the drawn rows. Rows that are not finite are left out.

    Args:
        features: float [N, D].
        labels: [N] class numbers or names, -1 for none; None: one colour. Only colour the points.
        title: heading.
        class_names: name of class 0, 1, ...
        max_points: rows drawn at most, at least 2 (default 600: ours); a fixed random choice.

    Returns:
        A `Chart`; "No data" without a finite row.

    Raises:
        UserError: features not [N, D], or labels of another length.
    """
    check_integer("max_points", max_points, low=2)
    features = np.asarray(features)
    if features.ndim != 2:
        raise UserError(f"`features` must have shape [N, D]. Received: shape {features.shape}")
    if labels is not None and len(labels) != len(features):
        raise UserError(
            f"`labels` must have one entry for each of {len(features)} rows. "
            f"Received: {len(labels)}"
        )
    rows = np.flatnonzero(np.isfinite(features).all(axis=1))
    if not rows.size or not features.shape[1]:
        return scatter_chart(title, np.zeros((0, 2)))
    if rows.size > max_points:
        rows = np.sort(np.random.default_rng(_SHUFFLE_SEED).permutation(rows)[:max_points])
    points, shares = principal_components(features[rows])
    chosen = None if labels is None else [labels[row] for row in rows]
    x_name, y_name = (
        f"component {i}, {share:.0%} of variance" for i, share in enumerate(shares, 1)
    )
    note = f"{rows.size} of {len(features)} images." if rows.size < len(features) else ""
    return scatter_chart(
        title, points, chosen, class_names=class_names, x_label=x_name, y_label=y_name, note=note
    )
