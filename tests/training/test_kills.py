"""Runs that are killed, at random moments or chosen ones, end in the bits of one left alone."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from burn_tf.training import CheckpointStore

FOLDER = Path(__file__).parent
REPOSITORY = FOLDER.parents[1]
KILLS = 20
# What a process ends with: SIGKILL leaves no choice, the others become exit codes.
ENDS = {9: -9, 15: 143, 2: 130}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        sys.platform != "linux", reason="forks processes that have imported TensorFlow"
    ),
]


def run(script: str, *words: object) -> dict[str, Any]:
    """What the script says at its end."""
    done = subprocess.run(
        [sys.executable, FOLDER / script, *map(str, words)],
        cwd=REPOSITORY,
        env={"PYTHONPATH": str(REPOSITORY), "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    record: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return record


@pytest.mark.parametrize("method", ["BURN", "MSBReg"])
def test_killed_at_random_moments_of_both_stages(method: str, tmp_path: Path) -> None:
    record = run("killed_process.py", method, tmp_path, KILLS)
    ends = [end for *_, end in record["kills"]]
    assert ends == [ENDS[number] for number, *_ in record["kills"]], record["kills"]
    updates = [update for _, update, _ in record["kills"]]
    assert len(updates) == KILLS and min(updates) < 20 < max(updates)
    assert record["last"] == 0
    assert_same_end(tmp_path)
    said = (tmp_path / "killed.log").read_text(encoding="utf-8")
    assert said.count("SIGTERM: ") == ends.count(143) >= 1
    assert said.count("SIGINT: ") == ends.count(130) >= 1
    assert not list((tmp_path / "killed").rglob(".checkpoint-*"))


def test_killed_at_chosen_moments_and_damaged(tmp_path: Path) -> None:
    """Amid features, a micro-batch, checkpoints, between stages; newest files are damaged too."""
    record = run("named_moments.py", tmp_path)
    assert record == {"ends": [-9] * 7, "last": 0}
    assert_same_end(tmp_path)
    said = (tmp_path / "killed.log").read_text(encoding="utf-8")
    warnings = re.findall(r"burn-tf: warning: \S+/(stage\d/\S+) is .*; going on from (\S+)", said)
    assert warnings == [
        ("stage1/checkpoint-0000000005.burn", "stage1/checkpoint-0000000004.burn"),
        ("stage1/checkpoint-0000000007.burn", "stage1/checkpoint-0000000006.burn"),
        ("stage2/checkpoint-0000000020.burn", "stage2/checkpoint-0000000019.burn"),
    ]
    kept = [kept_features(tmp_path / f"{name}_cache") for name in ("whole", "killed")]
    assert len(kept[0]) == 2 and kept[0] == kept[1]
    assert not [path for path in tmp_path.rglob(".*") if path.is_file()]


def kept_features(folder: Path) -> dict[str, bytes]:
    """The rows in each file, without the record behind them that names the images' source."""
    return {path.name: np.load(path).tobytes() for path in folder.rglob("*.npy")}


def assert_same_end(folder: Path) -> None:
    """All variables of method and optimizer, and what was logged."""
    states = [_final_state(folder / name) for name in ("whole", "killed")]
    for whole, killed in zip(*states, strict=True):
        np.testing.assert_array_equal(killed, whole)
    steps = [_steps_logged(folder / name) for name in ("whole", "killed")]
    assert steps[0] == steps[1] and len(steps[0]) == 40


def _final_state(folder: Path) -> list[np.ndarray]:
    """Everything: networks, averages, optimizer, counters."""
    return CheckpointStore(folder / "checkpoints" / "stage2").newest().arrays


def _steps_logged(folder: Path) -> list[tuple[str, int]]:
    lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [(entry["stage"], entry["step"]) for entry in map(json.loads, lines)]
