"""Runs that are killed at random moments end in the same bits as one that is left alone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from burn_tf.training import CheckpointStore

SCRIPT = Path(__file__).with_name("killed_process.py")
REPOSITORY = SCRIPT.parents[2]
KILLS = 10
# What a process ends with: SIGKILL leaves no choice, the others are exit codes.
ENDS = {9: -9, 15: 143, 2: 130}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="forks processes that have imported TensorFlow")
@pytest.mark.parametrize("method", ["BURN", "MSBReg"])
def test_killed_at_random_moments_of_both_stages(method: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, SCRIPT, method, tmp_path, str(KILLS)],
        cwd=REPOSITORY,
        env={"PYTHONPATH": str(REPOSITORY), "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout.splitlines()[-1])
    assert [end for *_, end in record["kills"]] == [ENDS[number] for number, *_ in record["kills"]]
    updates = [update for _, update, _ in record["kills"]]
    assert len(updates) == KILLS and min(updates) < 12 < max(updates)
    assert record["last"] == 0
    states = [_final_state(tmp_path / name) for name in ("whole", "killed")]
    for whole, killed in zip(*states, strict=True):
        np.testing.assert_array_equal(killed, whole)
    steps = [_steps_logged(tmp_path / name) for name in ("whole", "killed")]
    assert steps[0] == steps[1] and len(steps[0]) == 24
    said = (tmp_path / "killed.log").read_text(encoding="utf-8")
    assert said.count("SIGTERM: ") == said.count("SIGINT: ") == KILLS // 5
    assert not list((tmp_path / "killed").rglob(".checkpoint-*"))


def _final_state(folder: Path) -> list[np.ndarray]:
    """Everything: networks, averages, optimizer, counters."""
    return CheckpointStore(folder / "checkpoints" / "stage2").newest().arrays


def _steps_logged(folder: Path) -> list[tuple[str, int]]:
    lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [(entry["stage"], entry["step"]) for entry in map(json.loads, lines)]
