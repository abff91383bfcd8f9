"""Runs as the commands write them, made up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def record(protocol: str, backbone: str = "tiny", **metrics: Any) -> dict[str, Any]:
    """A result of `burn-tf evaluate`."""
    provenance = {
        "backbone": backbone,
        "data": {"test": {"name": "digits", "split": "test", "num_images": 359}},
        "weights_sha256": "ab" * 32,
        "settings": {"k": 5, "rates": [0.1, 0.01]},
    }
    return {"protocol": protocol, "metrics": metrics, "provenance": provenance}


def write(path: Path, content: Any) -> Path:
    """Writes JSON; returns the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def training(folder: Path, steps: int = 5) -> Path:
    """A work directory of `burn-tf pretrain`; returns it."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [
        {"stage": "stage1", "step": step, "loss": 2.0 - step / steps, "feature_std": 0.5}
        for step in range(steps)
    ]
    text = "\n".join(json.dumps(line) for line in lines)
    (folder / "metrics.jsonl").write_text(text, encoding="utf-8")
    return folder


def comparison_table() -> dict[str, Any]:
    """What `table.json` of `burn-tf compare` holds, as far as a report reads it."""
    return {
        "title": "Methods side by side",
        "preset": None,
        "probes": ["knn:5"],
        "seeds": [1, 2],
        "notes": ["Two seeds."],
        "rows": [_row("burn", "BURN", 90.0), _row("byol", "BYOL", None)],
    }


def _row(row: str, title: str, mean: float | None) -> dict[str, Any]:
    deviation = None if mean is None else 0.5
    return {
        "row": row,
        "title": title,
        "probes": {"knn:5": {"mean": mean, "deviation": deviation, "values": []}},
        "runs": 2,
        "finished": 2 if mean else 1,
        "seconds": 3.0,
        "images_per_second": 100.0,
        "peak_bytes": 1 << 30,
        "views": 2,
        "feature_std": 0.5,
        "test_feature_std": 0.5,
        "collapsed": 0,
        "failures": {} if mean else {"2": "diverged"},
        "reported_top1": None,
    }
