"""Work directories as `burn-tf pretrain` leaves them, written by hand."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

# 3 epochs of 25 // 8 updates, twice.
RECIPE = {
    "name": "toy",
    "batch_size": 8,
    "epochs": 3,
    "max_steps": None,
    "stages": ["activations", "both"],
}


def line(stage: int, step: int, seconds: float, **figures: float) -> dict[str, Any]:
    """A line of the metrics."""
    return {"stage": f"stage{stage}", "step": step, "time": seconds, **figures}


def write_checkpoint(folder: Path, stage: int, step: int, content: bytes = b"x" * 30) -> Path:
    """A file that has the form and the hash of a checkpoint."""
    path = folder / "checkpoints" / f"stage{stage}" / f"checkpoint-{step:010d}.burn"
    path.parent.mkdir(parents=True, exist_ok=True)
    body = b"BURNTF01" + content
    path.write_bytes(body + hashlib.sha256(body).digest())
    return path


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Path]:
    """Function that makes a work directory."""

    def make(
        lines: Sequence[dict[str, Any]] = (), folder: Path = tmp_path / "run", **recipe: Any
    ) -> Path:
        folder.mkdir(parents=True)
        record = {"recipe": {**RECIPE, **recipe}, "data": "f00", "images": 25}
        (folder / "run.json").write_text(json.dumps(record))
        if lines:
            text = "".join(json.dumps(row) + "\n" for row in lines)
            (folder / "metrics.jsonl").write_text(text)
        return folder

    return make
