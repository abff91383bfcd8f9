"""Strategies by name; and two processes of one training: equal to one, lost, started again."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.cli.pretrain import STRATEGIES as CLI_STRATEGIES
from burn_tf.data import load_source
from burn_tf.recipes import get_recipe, override
from burn_tf.training import STRATEGIES, load_backbone, make_workers, pretrain
from burn_tf.training.workers import Workers

ROOT = Path(__file__).resolve().parents[2]
DATA = "synthetic:40"
STEPS = 6
SETTINGS = [
    "backbone.name=reactnet_tiny",
    "backbone.width=1",
    "batch_size=8",
    "epochs=2",
    f"max_steps={STEPS}",
    "stages=both",
    "method.hidden_dim=8",
    "method.embedding_dim=8",
]


def test_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    assert CLI_STRATEGIES == STRATEGIES
    for name in ("auto", "none"):
        assert make_workers(name, environment={}).replicas == 1
    with pytest.raises(UserError, match="Did you mean 'mirrored'"):
        make_workers("miror", environment={})
    with pytest.raises(UserError, match=r"multiworker needs several workers in TF_CONFIG"):
        make_workers("multiworker", environment={})
    with pytest.raises(UserError, match=r"no TPU was found.*--tpu"):
        make_workers("tpu", tpu="nowhere", environment={})
    # Two logical processors stand for two GPUs.
    assert make_workers("mirrored", environment={}).replicas == 2
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: ["one"])
    with pytest.raises(UserError, match=r"two GPUs or more.*Received: 1"):
        make_workers("mirrored", environment={})


def test_workers_come_first_of_all() -> None:
    cluster = {"cluster": {"worker": ["127.0.0.1:9", "127.0.0.1:10"]}}
    environment = {"TF_CONFIG": json.dumps({**cluster, "task": {"type": "worker", "index": 1}})}
    assert tf.constant(1) == 1
    with pytest.raises(UserError, match="before anything else is done with TensorFlow"):
        make_workers("auto", environment=environment)


def weights(folder: Path) -> list[np.ndarray]:
    return load_backbone(folder / "backbone.keras").get_weights()


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> list[np.ndarray]:
    """Weights of one process."""
    recipe = override(get_recipe("byol_digits"), SETTINGS)
    folder = tmp_path_factory.mktemp("alone")
    return pretrain(recipe, load_source(DATA), folder, stream=io.StringIO()).get_weights()


def assert_equal(found: list[np.ndarray], expected: list[np.ndarray]) -> None:
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.slow
def test_two_replicas_equal_one(
    alone: list[np.ndarray], two_replicas: tf.distribute.Strategy, tmp_path: Path
) -> None:
    recipe = override(get_recipe("byol_digits"), SETTINGS)
    workers = Workers(two_replicas)
    model = pretrain(recipe, load_source(DATA), tmp_path, stream=io.StringIO(), workers=workers)
    assert_equal(model.get_weights(), alone)


class Pair:
    """Two processes of `burn-tf pretrain` that train together."""

    def __init__(self, folder: Path) -> None:
        sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
        addresses = [f"127.0.0.1:{one.getsockname()[1]}" for one in sockets]
        for one in sockets:
            one.close()
        words = [sys.executable, "-m", "burn_tf", "pretrain", "--recipe=byol_digits"]
        words += [f"--data={DATA}", f"--workdir={folder}", "--checkpoint_seconds=0.001"]
        words += ["--start_seconds=60", *(f"--set={setting}" for setting in SETTINGS)]
        self.folder = folder
        self.processes = [
            subprocess.Popen(
                words,
                env={**os.environ, "TF_CONFIG": config(addresses, rank), "PYTHONPATH": str(ROOT)},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                cwd=folder,
            )
            for rank in range(2)
        ]

    def wait_for_step(self, step: int) -> None:
        """Return when the chief has logged an update and both are still at work."""
        log = self.folder / "metrics.jsonl"
        while not log.exists() or len(log.read_text().splitlines()) < step:
            assert all(process.poll() is None for process in self.processes), self.ends()
            time.sleep(0.005)

    def end(self, rank: int, seconds: float = 60.0) -> tuple[int, str, str]:
        """Exit code and what one of them printed."""
        out, err = self.processes[rank].communicate(timeout=seconds)
        return self.processes[rank].returncode, out, err

    def ends(self) -> list[tuple[int, str, str]]:
        return [self.end(rank) for rank in range(2)]

    def kill(self) -> None:
        for process in self.processes:
            process.kill()
            process.communicate()


def config(addresses: list[str], rank: int) -> str:
    task = {"type": "worker", "index": rank}
    return json.dumps({"cluster": {"worker": addresses}, "task": task})


@pytest.fixture
def pairs(tmp_path: Path) -> Iterator[list[Pair]]:
    """Processes that are gone when the test ends."""
    made: list[Pair] = []
    yield made
    for pair in made:
        pair.kill()


@pytest.mark.slow
@pytest.mark.parametrize("victim", [1, 0])
def test_lost_worker_then_equal_to_one_process(
    victim: int, alone: list[np.ndarray], pairs: list[Pair], tmp_path: Path
) -> None:
    """One is killed: the other says so and ends; started again, both end in the right weights."""
    pairs.append(Pair(tmp_path))
    pairs[0].wait_for_step(2)
    pairs[0].processes[victim].send_signal(signal.SIGKILL)
    killed = time.monotonic()
    code, _, errors = pairs[0].end(1 - victim)
    assert time.monotonic() - killed < 60
    assert code == 2, errors
    lines = [line for line in errors.splitlines() if line.startswith("burn-tf: ")]
    assert len(lines) == 1 and lines[0].startswith("burn-tf: error: a worker was lost"), errors
    assert not (tmp_path / "backbone.keras").exists()
    pairs.append(Pair(tmp_path))
    ends = pairs[1].ends()
    assert [end[0] for end in ends] == [0, 0], ends
    assert "backbone: " in ends[0][1] and "backbone: " not in ends[1][1]
    steps = [json.loads(line)["step"] for line in (tmp_path / "metrics.jsonl").open()]
    assert steps == list(range(1, STEPS + 1))
    assert_equal(weights(tmp_path), alone)
