"""What probes of frozen features have in common: they share one extraction."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from burn_tf.evaluation.features import EvaluationData
from burn_tf.evaluation.results import Result
from burn_tf.evaluation.splits import FeatureSplits, check_labels, provenance, split_features


@dataclasses.dataclass(frozen=True)
class Measured:
    """Figures of a probe, and its settings as JSON types (`Result` keeps both)."""

    metrics: dict[str, float]
    settings: dict[str, Any]


class FrozenFeatures(abc.ABC):
    """A protocol that sees a network only through the features of both splits."""

    name: str

    def check(self, data: EvaluationData) -> None:
        """Refuse data that the protocol cannot use, before any feature is computed.

        Raises:
            UserError: here: no labels, one class only, or classes that differ between the splits.
        """
        check_labels(data)

    @abc.abstractmethod
    def measure(self, splits: FeatureSplits) -> Measured:
        """Figures of features that were extracted before."""

    def run(self, backbone: Callable[..., tf.Tensor], data: EvaluationData) -> Result:
        """Check the data, extract the features of both splits, and measure them.

        Args:
            backbone: images [B, H, W, C] -> features [B, D]; its weights are read, not changed.
            data: the splits.
        """
        self.check(data)
        return self.result(backbone, data, split_features(backbone, data))

    def result(
        self,
        backbone: Callable[..., tf.Tensor],
        data: EvaluationData,
        splits: FeatureSplits,
    ) -> Result:
        """The record of features that were extracted before from this backbone and data."""
        found = self.measure(splits)
        known = provenance(backbone, data, splits, found.settings)
        return Result(self.name, found.metrics, {**known, **self.remarks(data)})

    def remarks(self, data: EvaluationData) -> dict[str, Any]:
        """What the result's provenance says of these data beside what all results say; JSON types.

        Here: nothing.
        """
        return {}
