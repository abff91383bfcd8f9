"""BURN's weight lambda(t) over a stage, for every kind of schedule."""

from __future__ import annotations

import numpy as np

from burn_tf._checks import check_integer
from burn_tf.analysis.record import Analysis, Panel
from burn_tf.report import Series
from burn_tf.schedules import FEATURE_WEIGHT_KINDS, FeatureWeight

_SHARES = {"start": 0.0, "quarter": 0.25, "half": 0.5, "three quarters": 0.75, "end": 1.0}
_MAX_POINTS = 401


def feature_weight(updates: int = 1000, start: float = 0.9, end: float = 0.7) -> Analysis:
    """The weight of the feature term over the updates of one stage, for every kind.

        L = (1 - lambda(t)) L_KL + lambda(t) L_FS

    Args:
        updates: T_max, at least 1.
        start: lambda_0 in [0, 1]; 0.9 (the paper's).
        end: lambda_T in [0, 1]; 0.7 (the paper's).

    Returns:
        The values at five times, and the curves.

    Raises:
        UserError: for a number out of range.

    Example:
        >>> from burn_tf.analysis import feature_weight
        >>> [row["start"] for row in feature_weight(updates=100).rows]
        [0.9, 0.7, 0.9]

    Source: Kim & Choi, CVPR 2022, eq. 3 and Table 7, and the supplement's Fig. 3, arXiv 2110.08851.
    Departs from source: none.
    """
    updates = check_integer("updates", updates, low=1)
    steps = np.unique(np.linspace(0, updates, _MAX_POINTS).round().astype(np.int64))
    curves, rows = [], []
    for kind in FEATURE_WEIGHT_KINDS:
        weight = FeatureWeight(updates, start=start, end=end, kind=kind)
        curves.append(Series(kind, steps, np.array([float(weight(int(step))) for step in steps])))
        values = {name: round(float(weight(round(s * updates))), 4) for name, s in _SHARES.items()}
        rows.append({"kind": kind, **values})
    return Analysis(
        kind="feature_weight",
        title="Weight of BURN's feature term, λ(t)",
        settings={"updates": updates, "start": start, "end": end},
        rows=rows,
        panels=[Panel("λ(t) over one stage", curves, y_label="λ")],
        notes=[
            "BURN, eq. 3 (cosine) and Table 7 (constant and step, whose jump is at half the "
            "updates); every stage starts anew.",
        ],
    )
