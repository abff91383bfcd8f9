"""`metrics.jsonl`: a line per step, and nothing twice after a restart."""

from __future__ import annotations

import json
from pathlib import Path

import tensorflow as tf

from burn_tf.training import MetricsLog


class StandIn:
    """What the log reads of a method."""

    def __init__(self) -> None:
        self.update_step = tf.Variable(0)


def test_lines_and_restart(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    log = MetricsLog(path, "stage2")
    log.model = StandIn()
    path.write_text('{"stage": "stage1", "step": 9, "loss": 1.0}\n')
    for step in (1, 2, 3):
        log.model.update_step.assign(step)
        log.on_train_batch_end(step - 1, {"loss": 1 / 3, "worst_variable": 4.0})
    with open(path, "ab") as file:
        file.write(b'\xff\n[1]\n{"stage": "stage2"}\n{"stage": "stage2", "st')
    log.drop_after(2)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(line["stage"], line["step"]) for line in lines] == [
        ("stage1", 9),
        ("stage2", 1),
        ("stage2", 2),
    ]
    assert lines[-1]["loss"] == 0.333333
    assert "worst_variable" not in lines[-1]


def test_every(tmp_path: Path) -> None:
    log = MetricsLog(tmp_path / "m.jsonl", "s", every=2)
    log.model = StandIn()
    for step in (1, 2, 3, 4):
        log.model.update_step.assign(step)
        log.on_train_batch_end(0, {"loss": 0.0})
    assert len((tmp_path / "m.jsonl").read_text().splitlines()) == 2
