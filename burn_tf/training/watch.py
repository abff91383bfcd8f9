"""How a run is watched while it trains: TensorBoard, who works where, memory, the summary."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import tensorflow as tf

from burn_tf.methods import SSLMethod
from burn_tf.training.memory import TooLittleMemory, check_memory
from burn_tf.training.tensorboard_log import TensorBoardLog
from burn_tf.watching.run_files import METRICS_FILE, RUN_FILE
from burn_tf.watching.run_lock import work_in
from burn_tf.watching.summary import write_summary

TENSORBOARD_FOLDER = "tensorboard"


@dataclasses.dataclass
class Watch:
    """What `pretrain` does beside training.

    Args:
        tensorboard: write event files into the folder `tensorboard` of the work directory.
        ignore_memory: train even where the machine seems to have too little memory.
    """

    tensorboard: bool = False
    ignore_memory: bool = False
    _largest_graph: int = dataclasses.field(default=0, init=False, repr=False)

    @contextlib.contextmanager
    def session(self, folder: Path) -> Iterator[None]:
        """Hold the work directory while it trains; by the chief alone.

        Where memory is found too small for a run that has done nothing yet, its claim on the folder
        is taken back: with a smaller batch it may go on there.

        Raises:
            UserError: another process works there.
        """
        with work_in(folder):
            try:
                yield
            except TooLittleMemory:
                if not (folder / METRICS_FILE).exists():
                    (folder / RUN_FILE).unlink(missing_ok=True)
                raise

    def callbacks(self, folder: Path, stage: str) -> list[tf.keras.callbacks.Callback]:
        """What the chief's `fit` calls behind `MetricsLog`."""
        if not self.tensorboard:
            return []
        return [TensorBoardLog(folder / METRICS_FILE, folder / TENSORBOARD_FOLDER, stage)]

    def check_memory(
        self, method: SSLMethod, views: Any, batch_size: int, stream: TextIO | None, label: str = ""
    ) -> None:
        """Raise where a step will take more memory than there is, unless that is not asked.

        What is predicted is printed to `stream`, where one is given.

        Raises:
            TooLittleMemory: with advice.
        """
        if self.ignore_memory:
            return
        ran = self._largest_graph
        predicted = check_memory(method, views, batch_size=batch_size, ran=ran)
        if predicted is None:
            if stream is not None:
                print(f"{label}peak memory is not predicted here", file=stream)
            return
        self._largest_graph = max(ran, predicted.operations)
        if stream is not None:
            print(f"{label}peak memory about {predicted.peak / 1e9:.2f} GB", file=stream)

    def finish(self, folder: Path, stream: TextIO, label: str = "") -> None:
        """Write the summary of a finished run, and print it."""
        print(label + write_summary(folder).text(folder), file=stream)
