"""Stops a run that has broken down, and says where."""

from __future__ import annotations

import math
from typing import Any

import tensorflow as tf

from burn_tf._checks import UserError, check_integer, check_range

# A loss scale of 2^15 has then been halved down to 1, and 14 more updates were left out.
_MOST_SKIPPED = 30


class TrainingStopped(UserError):
    """The run produced NaN or collapsed; the message names step, rate and the worst variable."""


class TrainingGuard(tf.keras.callbacks.Callback):
    """Stops `fit` of an `SSLMethod` when its loss is not finite or its features have collapsed.

    Args:
        min_feature_std: `feature_std` below this counts as collapsed; in [0, 1), 0.01 by default (1
            is an even spread over the sphere, 0 one single point); 0 switches the check off.
        patience: consecutive steps below it before the run stops; >= 1, 50 by default.

    In float16 updates may be left out while the loss scale falls; 30 in a row end the run too.

    Raises:
        TrainingStopped: from within `fit`.

    Example:
        >>> guard = TrainingGuard(min_feature_std=0.02)
        >>> guard.patience
        50
    """

    def __init__(self, min_feature_std: float = 0.01, patience: int = 50) -> None:
        super().__init__()
        self.min_feature_std = check_range("min_feature_std", min_feature_std, low=0.0, high=1.0)
        self.patience = check_integer("patience", patience, low=1)
        self._collapsed_steps = 0
        self._skipped_steps = 0

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        logs = logs or {}
        broken = [name for name in ("loss", "grad_norm") if not math.isfinite(logs.get(name, 0.0))]
        if broken:
            raise TrainingStopped(
                f"{broken[0]} is not finite {self._where(logs)}, worst gradient in "
                f"{self._worst_variable(logs)}: lower the learning rate or lengthen the warm-up"
            )
        self._check_skipped(logs)
        collapsed = logs.get("feature_std", 1.0) < self.min_feature_std
        self._collapsed_steps = self._collapsed_steps + 1 if collapsed else 0
        if self._collapsed_steps >= self.patience:
            raise TrainingStopped(
                f"features have collapsed (feature_std {logs['feature_std']:.2g} for "
                f"{self.patience} steps) {self._where(logs)}, worst gradient in "
                f"{self._worst_variable(logs)}: lower the learning rate, enlarge the batch, or "
                "check that the images differ"
            )

    def _check_skipped(self, logs: dict[str, Any]) -> None:
        self._skipped_steps = self._skipped_steps + 1 if logs.get("skipped_updates") else 0
        if self._skipped_steps >= _MOST_SKIPPED:
            raise TrainingStopped(
                f"gradients were not finite in float16 for {_MOST_SKIPPED} steps, whatever the loss"
                f" scale, {self._where(logs)}: set precision=mixed_bfloat16 or float32, or lower "
                "the learning rate"
            )

    def _where(self, logs: dict[str, Any]) -> str:
        step = int(self.model.update_step.numpy())
        rate = logs.get("learning_rate", float("nan"))
        return f"at step {step} (learning rate {rate:.3g})"

    def _worst_variable(self, logs: dict[str, Any]) -> str:
        return str(self.model.trainable_variables[int(logs.get("worst_variable", 0))].name)
