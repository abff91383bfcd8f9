"""LIBLINEAR's linear SVMs with the constants of the VOC07 benchmark, C by cross-validation."""

from __future__ import annotations

import dataclasses
import warnings

import numpy as np

from burn_tf.evaluation.average_precision import average_precision

_POSITIVE_WEIGHT = 2.0
_TOLERANCE = 1e-4


@dataclasses.dataclass(frozen=True)
class Machines:
    """LIBLINEAR with one set of constants; counts fits that stopped before they converged."""

    costs: tuple[float, ...]
    folds: int
    max_iterations: int
    seed: int
    unfinished: list[float] = dataclasses.field(default_factory=list)

    def fit(self, rows: np.ndarray, positive: np.ndarray, cost: float) -> np.ndarray:
        """Weights float64 [D + 1], the last one the intercept."""
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.svm import LinearSVC

        machine = LinearSVC(
            C=cost,
            class_weight={True: _POSITIVE_WEIGHT, False: 1.0},
            loss="squared_hinge",
            dual=True,
            tol=_TOLERANCE,
            max_iter=self.max_iterations,
            random_state=self.seed,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            machine.fit(rows, positive)
        if np.max(machine.n_iter_) >= self.max_iterations:
            self.unfinished.append(cost)
        return np.append(machine.coef_[0], machine.intercept_[0])

    def choose(self, rows: np.ndarray, positive: np.ndarray) -> float:
        """The cost of the best mean average precision over the folds; of equals the smallest."""
        from sklearn.model_selection import StratifiedKFold

        folds = min(self.folds, int(positive.sum()), int((~positive).sum()))
        if folds < 2 or len(self.costs) == 1:
            return self.costs[0]
        parts = StratifiedKFold(folds, shuffle=True, random_state=self.seed)
        found = np.zeros(len(self.costs))
        for fitted, held_out in parts.split(rows, positive):
            kept, marks = rows[fitted], positive[fitted]
            for i, cost in enumerate(self.costs):
                weights = self.fit(kept, marks, cost)
                scores = scores_of(rows[held_out], weights)
                found[i] += average_precision(scores, positive[held_out].astype(int)) or 0.0
        best = np.flatnonzero(found >= found.max() - 1e-12)
        return min(self.costs[i] for i in best)

    def trained(self, rows: np.ndarray, positive: np.ndarray) -> tuple[np.ndarray, float]:
        """Weights for `rows` [N, D] and the chosen cost."""
        inner, outer = in_their_span(rows)
        cost = self.choose(inner, positive)
        weights = self.fit(inner, positive, cost)
        if outer is not None:
            weights = np.append(outer @ weights[:-1], weights[-1])
        return weights, cost


def scores_of(rows: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Distances [N] of rows [N, D] from the boundary, for weights [D + 1]."""
    return np.asarray(rows @ weights[:-1] + weights[-1])


def in_their_span(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Fewer rows than columns: the rows in an orthonormal basis of their span, and that basis.

    The weights lie in the span, so the machine is the same, and 20 rows of 4,096 values cost as
    much as 20 of 20.
    """
    if len(rows) >= rows.shape[1]:
        return rows, None
    values, vectors = np.linalg.eigh(rows @ rows.T)
    kept = values > 1e-12 * max(values[-1], 1e-300)
    roots = np.sqrt(values[kept])
    return vectors[:, kept] * roots, rows.T @ (vectors[:, kept] / roots)
