"""The summary of a run written by hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from burn_tf.watching.summary import write_summary
from tests.watching.conftest import line


def test_summary(make_run: Callable[..., Path]) -> None:
    lines = [
        line(1, 9, 5.0, loss=2.0),
        line(2, 4, 2.0, loss=1.5),
        line(2, 9, 3.0, loss=0.25, kl=0.125, wait_seconds=0.05),
    ]
    folder = make_run(lines)
    (folder / "backbone.keras").write_bytes(b"model")
    summary = write_summary(folder)
    # 2 stages of 9 updates of 8 images in 5 + 3 seconds; 5 updates in the second that was timed.
    assert (summary.steps, summary.images, summary.seconds) == (18, 144, 8.0)
    assert summary.images_per_second == 40.0
    assert summary.waiting_share == 0.25
    assert summary.figures == {"loss": 0.25, "kl": 0.125, "wait_seconds": 0.05}
    assert summary.files == {"backbone": "backbone.keras", "metrics": "metrics.jsonl"}
    assert summary.peak_memory_bytes is None or summary.peak_memory_bytes > 10**7
    assert json.loads((folder / "summary.json").read_text()) == summary.to_dict()
    rows = summary.text(folder).splitlines()
    assert rows[0].startswith("toy: 18 updates in 2 stages in 0:08, 40.0 images/s, 25.0 % of")
    assert rows[1:] == ["  loss 0.25", f"  in {folder}: backbone.keras, metrics.jsonl"]
