"""Linear probe in closed form: seconds instead of a hundred epochs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from burn_tf._checks import UserError, check_integer, check_range
from burn_tf.evaluation.frozen import FrozenFeatures, Measured
from burn_tf.evaluation.metrics import classification_metrics
from burn_tf.evaluation.splits import FeatureSplits, part_of_each_class

_CHUNK = 4096
_COLUMNS = 2048
_MAX_DIM = 8192
_RELATIVE_RIDGES = tuple(10.0**power for power in range(-6, 3))


def _standardisation(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and inverse deviation of every column; a constant column gets 0 and so no influence."""
    dim = features.shape[1]
    total, deviations = np.zeros(dim), np.zeros(dim)
    for start in range(0, len(features), _CHUNK):
        total += features[start : start + _CHUNK].sum(axis=0, dtype=np.float64)
    mean = total / len(features)
    for start in range(0, len(features), _CHUNK):
        deviations += np.square(features[start : start + _CHUNK] - mean).sum(axis=0)
    deviation = np.sqrt(deviations / len(features))
    # float32 features cannot carry a deviation below this share of their mean.
    floor = 1e-6 * np.abs(mean) + 1e-12
    constant = deviation <= floor
    return mean, np.where(constant, 0.0, 1.0 / np.where(constant, 1.0, deviation))


def _rotated(
    features: np.ndarray, queries: np.ndarray, mean: np.ndarray, scale: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Both sides in an orthonormal basis of the span of the N standardised rows: at most N columns.

    Ridge regression does not see a rotation, so nothing changes but the cost: O(N^2 D) in place of
    O(N D^2) where there are more features than images. Columns are taken in chunks.
    """
    gram, cross = np.zeros((len(features), len(features))), np.zeros((len(queries), len(features)))
    for start in range(0, features.shape[1], _COLUMNS):
        part = slice(start, start + _COLUMNS)
        rows = (features[:, part] - mean[part]) * scale[part]
        gram += rows @ rows.T
        cross += ((queries[:, part] - mean[part]) * scale[part]) @ rows.T
    values, vectors = np.linalg.eigh(gram)
    kept = values > 1e-10 * max(values[-1], 1e-300)
    roots = np.sqrt(values[kept])
    return vectors[:, kept] * roots, cross @ (vectors[:, kept] / roots)


class _Problem:
    """Normal equations of ridge regression on one-hot targets, for any choice of rows."""

    def __init__(
        self,
        features: np.ndarray,
        labels: np.ndarray,
        num_classes: int,
        mean: np.ndarray,
        scale: np.ndarray,
    ) -> None:
        self.features, self.labels, self.num_classes = features, labels, num_classes
        self.mean, self.scale = mean, scale

    def rows(self, features: np.ndarray) -> np.ndarray:
        """Standardised rows in float64 with a 1 appended for the intercept."""
        rows = np.empty((len(features), features.shape[1] + 1))
        np.subtract(features, self.mean, out=rows[:, :-1])
        rows[:, :-1] *= self.scale
        rows[:, -1] = 1.0
        return rows

    def chunks(self, chosen: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for start in range(0, len(chosen), _CHUNK):
            index = chosen[start : start + _CHUNK]
            yield self.rows(self.features[index]), self.labels[index]

    def moments(self, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """X^T X [D + 1, D + 1] and X^T Y [D + 1, C] of the chosen rows."""
        dim = self.features.shape[1] + 1
        gram, cross = np.zeros((dim, dim)), np.zeros((dim, self.num_classes))
        for rows, labels in self.chunks(chosen):
            gram += rows.T @ rows
            cross += rows.T @ np.eye(self.num_classes)[labels]
        return gram, cross


def _solve(gram: np.ndarray, cross: np.ndarray, relative_ridge: float) -> np.ndarray:
    """Minimiser of ||X W - Y||^2 + ridge ||W||^2; the intercept (last row) is not shrunk."""
    dim = len(gram) - 1
    ridge = relative_ridge * max(float(np.trace(gram)) - gram[-1, -1], 1.0) / max(dim, 1)
    shrunk = gram.copy()
    shrunk[np.arange(dim), np.arange(dim)] += ridge
    return np.linalg.solve(shrunk, cross)


def _held_out(labels: np.ndarray, fraction: float, seed: int) -> np.ndarray:
    """Mask of a held-out part of every class; a class of one image stays in the fitted part."""
    mask = part_of_each_class(labels, fraction, seed)
    return mask & (np.bincount(labels)[labels] > 1)


class FastLinearProbe(FrozenFeatures):
    """Ridge regression on one-hot labels, solved exactly. Ours: no paper's protocol.

    W = argmin ||X W - Y||^2 + r ||W||^2, with X the standardised features and an intercept that is
    not shrunk. r is a multiple of the mean eigenvalue of X^T X; the multiple with the best top-1 on
    a held-out part of the train split is used (of equals the one with the least squared error), and
    W is then fitted on the whole split. A constant feature has no influence.

    Args:
        ridges: Multiples to choose from, each above 0; ours: 1e-6 to 1e2 in decades.
        held_out: Share of every class kept for the choice, inside (0, 1); ours: 0.2.
        seed: Seed of that split.

    Raises:
        UserError: an argument is outside its range; both images and features exceed 8,192.

    Example:
        >>> import numpy as np
        >>> from burn_tf.evaluation import FastLinearProbe
        >>> x, y = np.array([[0.0], [0.1], [0.9], [1.0]]), np.array([0, 0, 1, 1])
        >>> int(FastLinearProbe().fit_scores(x, y, np.array([[0.8]]), 2).argmax())
        1

    Source: ours; figures are comparable only with others of `linear:fast`.
    Departs from source: none.
    """

    name = "linear:fast"

    def __init__(
        self, ridges: Sequence[float] = _RELATIVE_RIDGES, held_out: float = 0.2, seed: int = 0
    ) -> None:
        if len(ridges) == 0:
            raise UserError("`ridges` must hold at least one value. Received: none")
        self.ridges = tuple(
            sorted((check_range("ridges", r, low=0.0, low_open=True) for r in ridges), reverse=True)
        )
        self.held_out = check_range(
            "held_out", held_out, low=0, high=1, low_open=True, high_open=True
        )
        self.seed = check_integer("seed", seed, low=0)
        self.chosen_ridge: float | None = None

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {"ridges": list(self.ridges), "held_out": self.held_out, "seed": self.seed}

    def fit_scores(
        self, features: np.ndarray, labels: np.ndarray, queries: np.ndarray, num_classes: int
    ) -> np.ndarray:
        """Fit on `features` [N, D] and `labels` [N]; scores float64 [Q, C] of `queries` [Q, D]."""
        if min(features.shape) > _MAX_DIM:
            raise UserError(
                f"`linear:fast` takes at most {_MAX_DIM} features or images: use smaller images or "
                f"an SGD protocol. Received: images and features {features.shape}"
            )
        mean, scale = _standardisation(features)
        if features.shape[1] > features.shape[0]:
            features, queries = _rotated(features, queries, mean, scale)
            mean, scale = np.zeros(features.shape[1]), np.ones(features.shape[1])
        problem = _Problem(features, labels, num_classes, mean, scale)
        weights = self._fit(problem, _held_out(labels, self.held_out, self.seed))
        parts = range(0, len(queries), _CHUNK)
        return np.concatenate([problem.rows(queries[i : i + _CHUNK]) @ weights for i in parts])

    def _fit(self, problem: _Problem, mask: np.ndarray) -> np.ndarray:
        fitted, held_out = np.flatnonzero(~mask), np.flatnonzero(mask)
        gram, cross = problem.moments(fitted)
        self.chosen_ridge = self._choose(problem, gram, cross, held_out)
        rest_gram, rest_cross = problem.moments(held_out)
        return _solve(gram + rest_gram, cross + rest_cross, self.chosen_ridge)

    def _choose(
        self, problem: _Problem, gram: np.ndarray, cross: np.ndarray, held_out: np.ndarray
    ) -> float:
        if len(held_out) == 0 or len(self.ridges) == 1:
            return self.ridges[len(self.ridges) // 2]
        solved = np.concatenate([_solve(gram, cross, ridge) for ridge in self.ridges], axis=1)
        right, error = np.zeros(len(self.ridges)), np.zeros(len(self.ridges))
        for rows, labels in problem.chunks(held_out):
            targets = np.eye(problem.num_classes)[labels]
            scores = np.split(rows @ solved, len(self.ridges), axis=1)
            right += [np.sum(part.argmax(axis=1) == labels) for part in scores]
            error += [np.sum(np.square(part - targets)) for part in scores]
        return self.ridges[int(np.lexsort((error, -right))[0])]

    def measure(self, splits: FeatureSplits) -> Measured:
        """The fit on the train split, the accuracy on the test split."""
        scores = self.fit_scores(
            splits.train_features, splits.train_labels, splits.test_features, splits.num_classes
        )
        settings = self.get_config() | {"chosen_ridge": self.chosen_ridge, "standardised": True}
        return Measured(classification_metrics(scores, splits.test_labels), settings)
