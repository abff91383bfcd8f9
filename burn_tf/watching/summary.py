"""What a finished run cost and reached, in `summary.json` and a few lines."""

from __future__ import annotations

import dataclasses
import json
import math
import os
from pathlib import Path
from typing import Any

from burn_tf._files import atomic_write
from burn_tf.report.numbers import format_duration, format_value
from burn_tf.watching.machine_memory import peak_resident_bytes
from burn_tf.watching.run_files import (
    BACKBONE_FILE,
    HEAD_FILES,
    METRICS_FILE,
    SHOWN_FIGURES,
    figures_of,
    mean_share_of_waiting,
    mean_steps_per_second,
    parsed,
    parts_of,
    read_plan,
    waiting_text,
)

SUMMARY_FILE = "summary.json"


@dataclasses.dataclass(frozen=True)
class Summary:
    """What a finished run cost and reached.

    Attributes:
        recipe: name.
        stages: how many.
        steps: updates of all stages.
        images: seen in them, views of one image counted once.
        seconds: spent training, start-up and tracing included, updates that were redone after an
            interruption left out; a teacher's own training is not in it.
        images_per_second: without start-up and tracing; None where there was but one update.
        waiting_share: part of that time, 0 to 1, in which updates waited for images; None where not
            known.
        peak_memory_bytes: the most that the process which finished the run has held; None where the
            system does not say.
        figures: of the last update, by name.
        files: where things lie, by name, relative to the work directory.
    """

    recipe: str
    stages: int
    steps: int
    images: int
    seconds: float
    images_per_second: float | None
    waiting_share: float | None
    peak_memory_bytes: int | None
    figures: dict[str, float]
    files: dict[str, str]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return dataclasses.asdict(self)

    def text(self, workdir: str | os.PathLike[str]) -> str:
        """A few lines for people."""
        memory, rate, waiting = self.peak_memory_bytes, self.images_per_second, self.waiting_share
        stages = f"{self.stages} stage{'s' * (self.stages > 1)}"
        head = [
            f"{self.recipe}: {self.steps} updates in {stages} in {format_duration(self.seconds)}"
        ]
        head += [] if rate is None else [f"{rate:.1f} images/s"]
        head += [] if waiting is None else [waiting_text(waiting)]
        head += [] if memory is None else [f"peak memory {memory / 1e9:.2f} GB"]
        names = [name for name in SHOWN_FIGURES if name in self.figures]
        shown = [f"{name} {format_value(self.figures[name])}" for name in names]
        files = f"{os.fspath(workdir)}: {', '.join(self.files.values())}"
        return "\n".join([", ".join(head), f"  {'  '.join(shown)}", f"  in {files}"])


def write_summary(folder: Path) -> Summary:
    """Sum a run up from its metrics and write `summary.json` beside them.

    Args:
        folder: work directory of a run that has just finished in this process.
    """
    plan = read_plan(folder)
    text = (folder / METRICS_FILE).read_text(encoding="utf-8", errors="replace")
    lines = parsed(text.splitlines())
    seconds = sum(float(part[-1]["time"]) for part in parts_of(lines))
    rate = mean_steps_per_second(lines) * plan.batch_size
    waiting = mean_share_of_waiting(lines)
    images = plan.stages * plan.steps * plan.batch_size
    names = {
        "backbone": BACKBONE_FILE,
        **HEAD_FILES,
        "metrics": METRICS_FILE,
        "tensorboard": "tensorboard",
    }
    summary = Summary(
        recipe=plan.recipe,
        stages=plan.stages,
        steps=plan.stages * plan.steps,
        images=images,
        seconds=round(seconds, 3),
        images_per_second=None if math.isnan(rate) else round(rate, 2),
        waiting_share=None if math.isnan(waiting) else round(waiting, 4),
        peak_memory_bytes=peak_resident_bytes(),
        figures=figures_of(lines[-1]) if lines else {},
        files={name: file for name, file in names.items() if (folder / file).exists()},
    )
    atomic_write(folder / SUMMARY_FILE, json.dumps(summary.to_dict(), indent=2) + "\n")
    return summary
