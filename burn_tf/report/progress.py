"""Keras callback that shows the progress of `fit` on one line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TextIO

import tensorflow as tf

from burn_tf._checks import check_integer
from burn_tf.report.terminal import ProgressLine


class ProgressCallback(tf.keras.callbacks.Callback):
    """Shows share, rate, time gone and time left of `model.fit`; use it with `verbose=0`.

    Args:
        label: what is being trained.
        total_steps: steps of the whole training, over all epochs.
        start_step: steps done by an earlier run that this one resumes.
        metrics: names of logged numbers to show; None: all, in order.
        stream: text stream; None: standard error.

    Example:
        >>> model = tf.keras.Sequential([tf.keras.layers.Dense(1)])
        >>> model.compile("sgd", "mse")
        >>> x = tf.zeros([8, 2])
        >>> _ = model.fit(x, x[:, :1], 2, verbose=0, callbacks=[ProgressCallback("toy", 4)])
    """

    def __init__(
        self,
        label: str,
        total_steps: int,
        start_step: int = 0,
        *,
        metrics: Sequence[str] | None = None,
        stream: TextIO | None = None,
    ) -> None:
        super().__init__()
        self.label = label
        self.total_steps = check_integer("total_steps", total_steps, low=0)
        self.start_step = check_integer("start_step", start_step, low=0)
        self.metrics = metrics
        self._stream = stream
        self._line: ProgressLine | None = None
        self._epoch_start = self._step = self.start_step

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        """Begins the line."""
        self._epoch_start = self._step = self.start_step
        self._line = ProgressLine(self.total_steps, self.label, self._stream, start=self.start_step)

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Remembers where the batch numbers, which begin at 0 again, stand in the training."""
        self._epoch_start = self._step

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Counts from the batch number, which is also right when a call runs several steps."""
        self._step = self._epoch_start + batch + 1
        found = dict(logs or {})
        names = found if self.metrics is None else [m for m in self.metrics if m in found]
        if self._line is not None:
            self._line.update(self._step, **{name: found[name] for name in names})

    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None:
        """Ends the line."""
        if self._line is not None:
            self._line.close()
            self._line = None
