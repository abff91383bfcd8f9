"""The run's figures for TensorBoard: event files made of the lines of `metrics.jsonl`."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf

from burn_tf.report import read_metrics
from burn_tf.report.numbers import is_number

_PLACE = ("stage", "step")
_FLUSH_MILLISECONDS = 5_000


class TensorBoardLog(tf.keras.callbacks.Callback):
    """Writes what `MetricsLog` writes as event files, one folder for each stage.

    When a stage begins or goes on, its folder is made anew of the lines that the metrics file has
    of it: updates that are done twice stand there once. Stages before it that have no folder get
    one, so that the log can be switched on late. Put it behind `MetricsLog`.

    Args:
        metrics_file: of `MetricsLog`.
        folder: where event files are kept, in a folder for each stage.
        stage: name of the stage that trains.
    """

    def __init__(
        self, metrics_file: str | os.PathLike[str], folder: str | os.PathLike[str], stage: str
    ) -> None:
        super().__init__()
        self.metrics_file, self.folder, self.stage = Path(metrics_file), Path(folder), stage
        self._writer: Any = None
        self._read_to = 0

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        stages = read_metrics(self.metrics_file).stages if self.metrics_file.exists() else {}
        for stage, rows in stages.items():
            if stage != self.stage and not (self.folder / stage).exists():
                writer = _writer(self.folder / stage)
                for row in rows:
                    _write(writer, row)
                writer.close()
        shutil.rmtree(self.folder / self.stage, ignore_errors=True)
        self._writer = _writer(self.folder / self.stage)
        for row in stages.get(self.stage, []):
            _write(self._writer, row)
        self._read_to = self.metrics_file.stat().st_size if self.metrics_file.exists() else 0

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        if not self.metrics_file.exists():
            return
        with open(self.metrics_file, "rb") as file:
            file.seek(self._read_to)
            new = file.read()
        self._read_to += len(new)
        for line in new.splitlines():
            _write(self._writer, json.loads(line))

    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None:
        self._writer.close()


def _writer(folder: Path) -> Any:
    return tf.summary.create_file_writer(os.fspath(folder), flush_millis=_FLUSH_MILLISECONDS)


def _write(writer: Any, row: Mapping[str, Any]) -> None:
    """One event of all numbers of a line."""
    numbers = {name: v for name, v in row.items() if name not in _PLACE and is_number(v)}
    values = [
        tf.compat.v1.Summary.Value(tag=name, simple_value=value) for name, value in numbers.items()
    ]
    summary = tf.compat.v1.Summary(value=values).SerializeToString()
    with writer.as_default():
        tf.summary.experimental.write_raw_pb(summary, step=row["step"])
