"""The run's figures, a JSON line each step, in `metrics.jsonl`."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import tensorflow as tf

from burn_tf._files import atomic_write


class MetricsLog(tf.keras.callbacks.Callback):
    """Appends one JSON line per logged step to a file.

    Args:
        path: the file, kept from earlier parts of the run.
        stage: name of the stage, in every line.
        every: log each n-th update; >= 1.
    """

    def __init__(self, path: str | os.PathLike[str], stage: str, every: int = 1) -> None:
        super().__init__()
        self.path = Path(path)
        self.stage = stage
        self.every = every
        self._start = time.monotonic()

    def drop_after(self, step: int) -> None:
        """Remove this stage's lines beyond `step`, and damaged ones: a resumed run redoes them."""
        if not self.path.exists():
            return
        kept = []
        for line in self.path.read_bytes().splitlines():
            try:
                entry = json.loads(line)
                keep = entry["stage"] != self.stage or entry["step"] <= step
            except (KeyError, TypeError, ValueError, RecursionError):
                continue
            if keep:
                kept.append(line.decode() + "\n")
        atomic_write(self.path, "".join(kept))

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        step = int(self.model.update_step.numpy())
        if step % self.every:
            return
        figures = {
            name: _short(value) for name, value in (logs or {}).items() if name != "worst_variable"
        }
        elapsed = round(time.monotonic() - self._start, 3)
        entry = {"stage": self.stage, "step": step, "time": elapsed, **figures}
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")


def _short(value: Any) -> float:
    return float(f"{float(value):.6g}")
