"""A small comparison on digits, whose runs are made up in place of trained."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from burn_tf.compare import Comparison, Settings
from burn_tf.compare.worker import Job

SMALL = {"data": "digits", "budget": 2, "backbone": "reactnet_tiny", "width": 1.0, "images": 64}


@pytest.fixture
def small() -> Callable[..., Settings]:
    """Settings of a comparison of tiny networks."""
    return lambda **given: Settings(**{**SMALL, **given})


class FakeRuns:
    """Stands for the worker: writes what a run leaves, with top-1 by row and seed."""

    def __init__(self, scores: dict[str, float] | None = None, deviation: float = 0.5) -> None:
        self.scores = scores or {}
        self.deviation = deviation
        self.done: list[str] = []

    def __call__(self, job: Job) -> int:
        run = job.run
        self.done.append(f"{run.row}-{run.seed}")
        run.folder.mkdir(parents=True, exist_ok=True)
        if run.trained:
            self.write_metrics(run.folder)
        result = {
            "probes": {p: {"top1": self.scores.get(run.row, 50.0) + run.seed} for p in job.probes},
            "test_feature_std": self.deviation,
            "seconds": 10.0 * run.seed,
            "peak_bytes": run.seed << 20,
        }
        (run.folder / "result.json").write_text(json.dumps(result))
        return 0

    def write_metrics(self, folder: Path) -> None:
        """Two stages of 40 steps, half a second each; resumed once, after step 20."""
        lines = [
            {
                "stage": stage,
                "step": step,
                "time": (step - 20 * (step > 20)) * 0.5 + 3,
                "loss": 1 / step,
                "feature_std": self.deviation if step > 30 else 1.0,
            }
            for stage in ("stage1", "stage2")
            for step in range(1, 41)
        ]
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (folder / "metrics.jsonl").write_text(text)


@pytest.fixture
def fake() -> type[FakeRuns]:
    """The class of made-up runs."""
    return FakeRuns


@pytest.fixture
def compared(small: Callable[..., Settings], tmp_path: Path) -> Callable[..., Comparison]:
    """A comparison in a fresh folder, its runs done by `run_job`."""

    def make(run_job: Callable[[Job], int], **given: object) -> Comparison:
        return Comparison(small(**given), tmp_path / "work", run_job=run_job)

    return make
