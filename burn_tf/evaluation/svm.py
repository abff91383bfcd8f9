"""Linear SVMs on frozen features, one class against all others, scored by average precision."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from burn_tf._checks import UserError, check_integer, check_range
from burn_tf.evaluation import feature_bank
from burn_tf.evaluation.average_precision import Points, mean_average_precision
from burn_tf.evaluation.features import EvaluationData
from burn_tf.evaluation.frozen import Measured
from burn_tf.evaluation.liblinear import Machines, scores_of
from burn_tf.evaluation.metrics import classification_metrics
from burn_tf.evaluation.results import Result
from burn_tf.evaluation.spatial_features import grid_features
from burn_tf.evaluation.splits import FeatureSplits, check_labels, provenance
from burn_tf.evaluation.statistics import summarise

COSTS = (0.01, 0.1, *(0.5**power for power in range(4, 20)))
SHOTS = (1, 2, 4, 8, 16, 32, 64, 96)
_SMALLEST_LENGTH = 1e-5
_MEANS: tuple[tuple[str, Points], ...] = (("map11", "eleven"), ("map", "all"))


@dataclasses.dataclass(frozen=True)
class _Problem:
    """Features float64 [N, D] of length 1, targets int8 [N, C], and the classes that count."""

    rows: np.ndarray
    targets: np.ndarray
    test_rows: np.ndarray
    test_targets: np.ndarray
    classes: tuple[int, ...]

    def of_class(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Positions of its positive and of its negative train images."""
        column = self.targets[:, number]
        return np.flatnonzero(column == 1), np.flatnonzero(column == 0)


class SVMProbe:
    """LIBLINEAR's SVMs, a class against the rest, on features of length 1; mean average precision.

        min_w 1/2 ||w||^2 + C sum_i c_i max(0, 1 - y_i w x_i)^2,   c_i = 2 for positives, else 1

    The last feature map is averaged to the largest square grid of `values` or fewer (ReActNet:
    2 x 2 x 1,024 = 4,096); a network that shows no map gives its output. C is chosen for each class
    by `folds`-fold cross-validation of the average precision on the images that are trained on.
    With `shots`, every class has k positive and (C - 1) k negative images, drawn `draws` times.
    Images that are difficult for a class take no part in it. It works on sources that hold several
    classes per image (`targets`) and on those with one (`labels`).

    Args:
        name: protocol identifier written into the result.
        shots: values of k, each at least 1; none: all images, once.
        draws: at least 1; default 5, the paper's. Used with `shots`.
        costs: values of C, each above 0; default those of the benchmark: 0.01, 0.1, 2^-4 to 2^-19.
            Where a class has a single positive image, the first one is taken.
        folds: at least 2; default 3, the benchmark's.
        values: how many values a pooled map may have, at least 1; default 4096, BURN's.
        max_iterations: of one fit, at least 1; default 2000, the benchmark's.
        seed: of draws, folds and LIBLINEAR.

    Raises:
        UserError: an argument is outside its range; in `run` no labels, fewer than two classes,
            splits of different classes, no class with an image on either side, or no k for which
            every class has enough images.

    Example:
        >>> import numpy as np
        >>> from burn_tf.evaluation import SVMProbe
        >>> x, y = np.eye(2)[[0, 0, 1, 1]], np.array([[1, 0], [1, 0], [0, 1], [0, 1]])
        >>> SVMProbe(costs=[1.0]).measure_targets(x, y, x, y).metrics
        {'map11': 100.0, 'map': 100.0}

    Source: Kim & Choi (BURN, arXiv 2110.08851), Table 3; the constants are those of Goyal et al.,
        Scaling and Benchmarking Self-Supervised Visual Representation Learning, arXiv 1905.01235.
    Departs from source: folds are shuffled; difficult images are left out of the training too; with
        few shots the benchmark reports the C that is best on the test images, here it is
        cross-validated; the draws are ours.
    """

    def __init__(
        self,
        name: str = "svm:voc07",
        shots: Sequence[int] = (),
        draws: int = 5,
        costs: Sequence[float] = COSTS,
        folds: int = 3,
        values: int = 4096,
        max_iterations: int = 2000,
        seed: int = 0,
    ) -> None:
        self.name = name
        self.shots = tuple(sorted({check_integer("shots", k, low=1) for k in shots}))
        self.draws = check_integer("draws", draws, low=1)
        if len(costs) == 0:
            raise UserError("`costs` must hold at least one value. Received: none")
        self.costs = tuple(check_range("costs", c, low=0.0, low_open=True) for c in costs)
        self.folds = check_integer("folds", folds, low=2)
        self.values = check_integer("values", values, low=1)
        self.max_iterations = check_integer("max_iterations", max_iterations, low=1)
        self.seed = check_integer("seed", seed, low=0)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            "name": self.name,
            "shots": list(self.shots),
            "draws": self.draws,
            "costs": list(self.costs),
            "folds": self.folds,
            "values": self.values,
            "max_iterations": self.max_iterations,
            "seed": self.seed,
        }

    def check(self, data: EvaluationData) -> None:
        """Refuse data without labels or with splits of different classes, before any work.

        Raises:
            UserError: see the class.
        """
        targets = _both_targets(data)
        self._feasible(targets[0], self._classes(*targets))

    def run(self, backbone: Callable[..., tf.Tensor], data: EvaluationData) -> Result:
        """Features of both splits on the grid, the SVMs of one split, their precision on the other.

        Args:
            backbone: images [B, H, W, C] -> features [B, D]; its weights are read, not changed.
            data: splits with labels or targets.

        Returns:
            `map11` (VOC2007's 11 points) and `map` (all points) in percent, `top1` for sources with
            one class per image; with `shots` `map11_k1` and so on, means over the draws, with
            deviation and 95 % interval under `provenance["shots"]`.
        """
        self.check(data)
        network, layer = grid_features(backbone, self.values)
        train = feature_bank.features(network, data.train, data)
        test = feature_bank.features(network, data.test, data)
        single = data.train.targets is None
        targets = _both_targets(data)
        splits = FeatureSplits(
            train.features, train.labels, test.features, test.labels, targets[0].shape[1]
        )
        found = self.measure_targets(
            train.features,
            targets[0],
            test.features,
            targets[1],
            labels=test.labels if single else None,
            class_names=data.train.class_names,
        )
        facts = {key: found.settings.pop(key) for key in ("classes", "shots_found", "left_out")}
        shots = {"shots": facts.pop("shots_found")} if self.shots else {}
        return Result(
            self.name,
            found.metrics,
            provenance(backbone, data, splits, found.settings)
            | {"feature_layer": layer, **facts, **shots},
        )

    def measure_targets(
        self,
        features: np.ndarray,
        targets: np.ndarray,
        queries: np.ndarray,
        query_targets: np.ndarray,
        *,
        labels: np.ndarray | None = None,
        class_names: Sequence[str] | None = None,
    ) -> Measured:
        """The same for features that are there.

        Args:
            features, queries: float [N, D] and [Q, D].
            targets, query_targets: [N, C] and [Q, C] of 1, 0 and -1 (difficult).
            labels: int [Q], where every image has one class: adds `top1`.
            class_names: C names for the record.
        """
        _check_columns(targets, query_targets)
        classes = self._classes(targets, query_targets)
        shots = self._feasible(targets, classes)
        problem = _Problem(_unit(features), targets, _unit(queries), query_targets, classes)
        names = list(class_names or map(str, range(targets.shape[1])))
        machines = Machines(self.costs, self.folds, self.max_iterations, self.seed)
        left_out = [names[i] for i in range(targets.shape[1]) if i not in classes]
        if self.shots:
            metrics, facts = self._few(machines, problem, shots)
        else:
            metrics, facts = self._all(machines, problem, names, labels)
        skipped = [k for k in self.shots if k not in shots]
        settings = self.get_config() | {"not_converged": len(machines.unfinished)}
        return Measured(metrics, settings | facts | {"left_out": _left_out(left_out, skipped)})

    def _all(
        self,
        machines: Machines,
        problem: _Problem,
        names: list[str],
        labels: np.ndarray | None,
    ) -> tuple[dict[str, float], dict[str, Any]]:
        scores, costs = self._fitted(machines, problem, problem.of_class)
        metrics, own = _precisions(problem, scores)
        if labels is not None and len(problem.classes) == problem.targets.shape[1]:
            metrics |= classification_metrics(scores, labels)
        rows = [
            {"class": names[number], "cost": cost, "ap11": own[0][number], "ap": own[1][number]}
            for number, cost in zip(problem.classes, costs, strict=True)
        ]
        return metrics, {"classes": rows, "shots_found": []}

    def _few(
        self, machines: Machines, problem: _Problem, shots: Sequence[int]
    ) -> tuple[dict[str, float], dict[str, Any]]:
        metrics: dict[str, float] = {}
        rows = []
        for k in shots:
            found = [self._draw(machines, problem, k, draw) for draw in range(self.draws)]
            summaries = {key: summarise([one[key] for one in found]) for key in ("map11", "map")}
            metrics[f"map11_k{k}"] = summaries["map11"].mean
            rows.append({"k": k, **{key: s.to_json() for key, s in summaries.items()}})
            shown = summaries["map11"].text()
            print(f"{self.name}: k = {k}: {shown} %", file=sys.stderr, flush=True)
        return metrics, {"classes": [], "shots_found": rows}

    def _draw(self, machines: Machines, problem: _Problem, k: int, draw: int) -> dict[str, float]:
        generator = np.random.default_rng((self.seed, k, draw))

        def drawn(number: int) -> tuple[np.ndarray, np.ndarray]:
            positive, negative = problem.of_class(number)
            most = min((len(problem.classes) - 1) * k, len(negative))
            return (
                generator.choice(positive, k, replace=False),
                generator.choice(negative, most, replace=False),
            )

        scores, _ = self._fitted(machines, problem, drawn)
        return _precisions(problem, scores)[0]

    def _fitted(
        self,
        machines: Machines,
        problem: _Problem,
        images_of: Callable[[int], tuple[np.ndarray, np.ndarray]],
    ) -> tuple[np.ndarray, list[float]]:
        """Scores [Q, C] of the test images, 0 for classes that do not count, and each one's C."""
        scores = np.zeros(problem.test_targets.shape)
        costs = []
        for number in problem.classes:
            positive, negative = images_of(number)
            chosen = np.concatenate([positive, negative])
            marks = np.arange(len(chosen)) < len(positive)
            weights, cost = machines.trained(problem.rows[chosen], marks)
            scores[:, number] = scores_of(problem.test_rows, weights)
            costs.append(cost)
        return scores, costs

    def _classes(self, targets: np.ndarray, query_targets: np.ndarray) -> tuple[int, ...]:
        """Those with positives on either side and negatives to train against."""
        usable = (
            (targets == 1).any(axis=0)
            & (targets == 0).any(axis=0)
            & (query_targets == 1).any(axis=0)
        )
        if not usable.any():
            raise UserError(
                f"`{self.name}` needs a class with positive and negative images in `train` and "
                f"positive ones in `test`. Received: {targets.shape[1]} classes without"
            )
        return tuple(map(int, np.flatnonzero(usable)))

    def _feasible(self, targets: np.ndarray, classes: Sequence[int]) -> list[int]:
        """The values of k that every class has images for."""
        fewest = int((targets[:, list(classes)] == 1).sum(axis=0).min())
        shots = [k for k in self.shots if k <= fewest]
        if self.shots and not shots:
            raise UserError(
                f"`shots` must hold a number of images that every class has, at most {fewest}. "
                f"Received: {list(self.shots)}"
            )
        return shots


def _left_out(classes: list[str], shots: list[int]) -> dict[str, Any]:
    """What no figure stands for: classes without positives or negatives, k beyond the images."""
    return {"classes": classes, "shots": shots}


def _unit(features: np.ndarray) -> np.ndarray:
    rows = np.asarray(features, np.float64)
    return rows / (np.linalg.norm(rows, axis=1, keepdims=True) + _SMALLEST_LENGTH)


def _both_targets(data: EvaluationData) -> tuple[np.ndarray, np.ndarray]:
    """int8 [N, C] of both splits; of one class per image the one-hot form of the labels."""
    if data.train.targets is None and data.test.targets is None:
        number = check_labels(data)
        return _one_hot(data.train.labels, number), _one_hot(data.test.labels, number)
    if data.train.targets is None or data.test.targets is None:
        bare = data.train if data.train.targets is None else data.test
        raise UserError(
            "`train` and `test` must both hold several classes per image, or both one. "
            f"Received: {bare.name!r} ({bare.split}) without targets"
        )
    _check_columns(data.train.targets, data.test.targets)
    if data.train.class_names != data.test.class_names:
        raise UserError(
            "`train` and `test` must have the same classes. Received: the names "
            f"{data.train.class_names} and {data.test.class_names}"
        )
    return data.train.targets, data.test.targets


def _one_hot(labels: np.ndarray | None, num_classes: int) -> np.ndarray:
    assert labels is not None  # as `check_labels` says
    return (labels[:, None] == np.arange(num_classes)).astype(np.int8)


def _check_columns(targets: np.ndarray, query_targets: np.ndarray) -> None:
    if targets.shape[1] != query_targets.shape[1]:
        raise UserError(
            "`train` and `test` must have the same classes. "
            f"Received: {targets.shape[1]} and {query_targets.shape[1]}"
        )


def _precisions(
    problem: _Problem, scores: np.ndarray
) -> tuple[dict[str, float], tuple[list[float | None], list[float | None]]]:
    """`map11` and `map` over the classes that count, in percent, and each class's own."""
    chosen = list(problem.classes)
    metrics: dict[str, float] = {}
    own: list[list[float | None]] = []
    for name, points in _MEANS:
        _, values = mean_average_precision(
            scores[:, chosen], problem.test_targets[:, chosen], points
        )
        metrics[name] = 100.0 * float(np.mean([value for value in values if value is not None]))
        spread: list[float | None] = [None] * scores.shape[1]
        for number, value in zip(chosen, values, strict=True):
            spread[number] = None if value is None else 100.0 * value
        own.append(spread)
    return metrics, (own[0], own[1])
