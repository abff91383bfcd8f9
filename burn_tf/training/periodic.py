"""Checkpoints while `fit` runs."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from burn_tf._checks import check_range
from burn_tf.training.checkpoints import CheckpointStore


class PeriodicCheckpoint(tf.keras.callbacks.Callback):
    """Saves at the end of a step once enough time has passed, and at the end of training.

    Args:
        store: where to.
        variables: all that the run needs to go on: model and optimizer.
        metadata: JSON-serialisable, stored with each.
        seconds: between checkpoints; > 0.
    """

    def __init__(
        self,
        store: CheckpointStore,
        variables: Sequence[tf.Variable],
        metadata: Mapping[str, Any],
        seconds: float,
    ) -> None:
        super().__init__()
        self.store = store
        self.variables = list(variables)
        self.metadata = dict(metadata)
        self.seconds = check_range("seconds", seconds, low=0.0, low_open=True)
        self._last = time.monotonic()

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        if time.monotonic() - self._last >= self.seconds:
            self._save()

    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None:
        self._save()

    def _save(self) -> None:
        self.store.save(int(self.model.update_step.numpy()), self.variables, self.metadata)
        self._last = time.monotonic()
