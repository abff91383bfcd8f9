"""A signal to one worker stops all of them after the same update."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from burn_tf.training.signals import STOP_SIGNALS, StoppedBySignal, StopSignals
from burn_tf.training.workers import Workers


class StopTogether(tf.keras.callbacks.Callback):
    """Tells all workers after every update which of them has been told to stop.

    Whichever worker is told, the chief saves: its own callback does so once `number` is set, and
    `leave` is called then. The others wait here until it has: a launcher may end a job with the
    first process that leaves it. One that left alone would break off the step of the rest.

    Args:
        workers: the processes that train together.
        stop: this worker's signals; those of the others are noted in it.

    Attributes:
        number: of the signal that all workers know of; None: none, though one may have come here.

    Raises:
        StoppedBySignal: from within `fit`, on all but the chief.
    """

    def __init__(self, workers: Workers, stop: StopSignals) -> None:
        super().__init__()
        self.workers, self.stop = workers, stop
        self.number: int | None = None

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        told = self.workers.any_of([self.stop.number == number for number in STOP_SIGNALS])
        if not any(told):
            return
        self.number = self.stop.number = int(STOP_SIGNALS[told.index(True)])
        if self.workers.is_chief:
            # Whatever the others do now, it saves.
            self.workers.part()
            return
        # TensorFlow computes nothing more once a peer has gone.
        step = int(self.model.update_step.numpy())
        self.workers.wait_to_leave()
        self.workers.part()
        raise StoppedBySignal(self.number, f"stopped at step {step}, which the chief saves")

    def leave(self) -> None:
        """Let the others go; the chief calls it once it has saved. Nothing, if none was told."""
        if self.number is not None and self.workers.is_chief:
            self.workers.wait_to_leave()
