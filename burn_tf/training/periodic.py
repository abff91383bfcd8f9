"""Checkpoints while `fit` runs."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from burn_tf._checks import check_range
from burn_tf.training.checkpoints import CheckpointStore
from burn_tf.training.signals import StoppedBySignal, Told


class PeriodicCheckpoint(tf.keras.callbacks.Callback):
    """Saves at the end of a step once enough time has passed, and at the end of training.

    Args:
        store: where to.
        variables: all that the run needs to go on: model and optimizer.
        metadata: JSON-serialisable, stored with each; `stage` names the stage.
        seconds: between checkpoints; > 0.
        stop: signals that end the run at the end of a step, saved; None: none.

    Raises:
        StoppedBySignal: from within `fit`.
    """

    def __init__(
        self,
        store: CheckpointStore,
        variables: Sequence[tf.Variable],
        metadata: Mapping[str, Any],
        seconds: float,
        stop: Told | None = None,
    ) -> None:
        super().__init__()
        self.store = store
        self.variables = list(variables)
        self.metadata = dict(metadata)
        self.seconds = check_range("seconds", seconds, low=0.0, low_open=True)
        self.stop = stop
        self._last = time.monotonic()
        self._saved_step = -1

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        if time.monotonic() - self._last >= self.seconds:
            self._save()
        self._leave_if_told()

    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None:
        self._save()
        self._leave_if_told()

    def _save(self) -> None:
        step = int(self.model.update_step.numpy())
        if step != self._saved_step:
            self.store.save(step, self.variables, self.metadata)
            self._saved_step = step
        self._last = time.monotonic()

    def _leave_if_told(self) -> None:
        number = None if self.stop is None else self.stop.number
        if number is not None:
            self._save()
            stage = self.metadata.get("stage", "training")
            raise StoppedBySignal(number, f"{stage} is saved at step {self._saved_step}")
