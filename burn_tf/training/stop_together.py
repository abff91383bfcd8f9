"""A signal to one worker stops all of them after the same update."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from burn_tf.training.signals import STOP_SIGNALS, StoppedBySignal, StopSignals
from burn_tf.training.workers import Workers


class StopTogether(tf.keras.callbacks.Callback):
    """Tells all workers after every update which of them has been told to stop.

    Whichever worker is told, the chief saves: its own callback does so once its `stop` is set. The
    others leave here. One worker that left alone would break off the step of the rest.

    Args:
        workers: the processes that train together.
        stop: this worker's signals; those of the others are noted in it.

    Raises:
        StoppedBySignal: from within `fit`, on all but the chief.
    """

    def __init__(self, workers: Workers, stop: StopSignals) -> None:
        super().__init__()
        self.workers, self.stop = workers, stop

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        told = self.workers.any_of([self.stop.number == number for number in STOP_SIGNALS])
        if not any(told):
            return
        self.stop.number = int(STOP_SIGNALS[told.index(True)])
        self.workers.part()
        if not self.workers.is_chief:
            step = int(self.model.update_step.numpy())
            raise StoppedBySignal(
                self.stop.number, f"stopped at step {step}, which the chief saves"
            )
