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
from typing import Any

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
STEPS = 10
# Real numbers and a low rate: rounding grows from step to step, and tenfold where a sign flips.
SETTINGS = [
    "backbone.name=resnet18",
    "backbone.width=0.0625",
    "stages=none",
    "optimizer.name=sgd",
    "batch_size=8",
    "epochs=3",
]
SUPERVISED = [*SETTINGS, "optimizer.learning_rate=1e-4", f"max_steps={STEPS}"]
BYOL = [*SETTINGS, "optimizer.learning_rate=2e-5", "max_steps=6"]
BYOL += ["method.hidden_dim=8", "method.embedding_dim=8"]


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


def test_a_tpu_that_does_not_answer_is_not_waited_for_forever() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    address = f"grpc://127.0.0.1:{port}"
    with pytest.raises(UserError, match=rf"did not answer within 0.2 s.*Received: '{address}'"):
        make_workers("tpu", tpu=address, environment={}, start_seconds=0.2)
    with pytest.raises(UserError, match=r"`tpu` must be a name or grpc://HOST:PORT"):
        make_workers("tpu", tpu="grpc://nowhere:x", environment={}, start_seconds=0.2)
    with pytest.raises(UserError, match="`tpu` is for strategy='tpu'"):
        make_workers("auto", tpu=address, environment={})


def test_workers_come_first_of_all() -> None:
    cluster = {"cluster": {"worker": ["127.0.0.1:9", "127.0.0.1:10"]}}
    environment = {"TF_CONFIG": json.dumps({**cluster, "task": {"type": "worker", "index": 1}})}
    assert tf.constant(1) == 1
    with pytest.raises(UserError, match="before anything else is done with TensorFlow"):
        make_workers("auto", environment=environment)


def weights(folder: Path) -> list[np.ndarray]:
    return load_backbone(folder / "backbone.keras").get_weights()


def train(
    name: str, settings: list[str], folder: Path, workers: Workers | None = None
) -> list[np.ndarray]:
    """Weights of one process."""
    recipe = override(get_recipe(name), settings)
    stream = io.StringIO()
    options: dict[str, Any] = {"stream": stream, "workers": workers, "checkpoint_seconds": 1e-3}
    return pretrain(recipe, load_source(DATA), folder, **options).get_weights()


def assert_equal(found: list[np.ndarray], expected: list[np.ndarray], atol: float = 1e-5) -> None:
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=atol)


@pytest.mark.slow
def test_two_replicas_equal_one(two_replicas: tf.distribute.Strategy, tmp_path: Path) -> None:
    """Whole runs with a target network; what two replicas began, one ends alike."""
    alone = train("byol_digits", BYOL, tmp_path / "alone")
    together = train("byol_digits", BYOL, tmp_path / "together", Workers(two_replicas))
    assert_equal(together, alone)
    (tmp_path / "together" / "backbone.keras").unlink()
    newest, *_ = sorted((tmp_path / "together" / "checkpoints").rglob("*.burn"), reverse=True)
    assert newest.name == "checkpoint-0000000006.burn"
    newest.unlink()
    resumed = train("byol_digits", BYOL, tmp_path / "together")
    assert_equal(resumed, together, atol=1e-6)
    steps = [json.loads(line)["step"] for line in (tmp_path / "together" / "metrics.jsonl").open()]
    assert steps == [1, 2, 3, 4, 5, 6]


# What `python -m burn_tf` does, but that a save after a signal takes its time.
SLOW_TO_LEAVE = """
import sys, time
from burn_tf.cli.main import main
from burn_tf.training.periodic import PeriodicCheckpoint

leave = PeriodicCheckpoint._leave_if_told

def slowly(self):
    if self.stop is not None and self.stop.number is not None:
        time.sleep({seconds})
    leave(self)

PeriodicCheckpoint._leave_if_told = slowly
sys.exit(main(sys.argv[1:]))
"""


class Pair:
    """Two processes of `burn-tf pretrain` that train together, each with a folder of its own."""

    def __init__(
        self,
        folder: Path,
        start_seconds: float = 300.0,
        ranks: int = 2,
        program: tuple[str, ...] = ("-m", "burn_tf"),
    ) -> None:
        sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
        addresses = [f"127.0.0.1:{one.getsockname()[1]}" for one in sockets]
        for one in sockets:
            one.close()
        words = [sys.executable, *program, "pretrain", "--recipe=supervised_digits"]
        words += [f"--data={DATA}", "--checkpoint_seconds=0.001"]
        words += [
            f"--start_seconds={start_seconds}",
            *(f"--set={setting}" for setting in SUPERVISED),
        ]
        self.folder = folder
        self.processes = [
            subprocess.Popen(
                [*words, f"--workdir={folder if rank == 0 else folder / 'not the chief'}"],
                env={**os.environ, "TF_CONFIG": config(addresses, rank), "PYTHONPATH": str(ROOT)},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                cwd=folder,
            )
            for rank in range(ranks)
        ]

    def wait_for_step(self, step: int) -> None:
        """Return when the chief has logged an update and both are still at work."""
        log = self.folder / "metrics.jsonl"
        while not log.exists() or len(log.read_text().splitlines()) < step:
            assert all(process.poll() is None for process in self.processes), self.ends()
            time.sleep(0.005)

    def end(self, rank: int, seconds: float = 300.0) -> tuple[int, str, str]:
        """Exit code and what one of them printed."""
        out, err = self.processes[rank].communicate(timeout=seconds)
        return self.processes[rank].returncode, out, err

    def ends(self) -> list[tuple[int, str, str]]:
        return [self.end(rank) for rank in range(len(self.processes))]

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


def one_line(errors: str) -> str:
    """The one line that is ours; TensorFlow's own logging aside."""
    (line,) = [line for line in errors.splitlines() if line.startswith("burn-tf: ")]
    return line


def lose(pair: Pair, victim: int) -> None:
    """Kill one of two in the middle of the run; the other must say so and end."""
    pair.wait_for_step(2)
    pair.processes[victim].send_signal(signal.SIGKILL)
    killed = time.monotonic()
    code, _, errors = pair.end(1 - victim)
    assert time.monotonic() - killed < 60
    assert code == 2, errors
    assert one_line(errors).startswith("burn-tf: error: a worker was lost: see what it printed")
    assert not (pair.folder / "backbone.keras").exists()


@pytest.mark.slow
def test_worker_that_never_comes(pairs: list[Pair], tmp_path: Path) -> None:
    pairs.append(Pair(tmp_path, start_seconds=1.0, ranks=1))
    ((code, _, errors),) = pairs[0].ends()
    assert code == 2, errors
    assert "not all workers came within 1 s" in one_line(errors)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_chief_is_lost(pairs: list[Pair], tmp_path: Path) -> None:
    pairs.append(Pair(tmp_path))
    lose(pairs[0], victim=0)


@pytest.mark.slow
def test_worker_is_lost_then_all_go_on(pairs: list[Pair], tmp_path: Path) -> None:
    """Started again, both end in the weights of one process that was never disturbed."""
    pairs.append(Pair(tmp_path))
    lose(pairs[0], victim=1)
    pairs.append(Pair(tmp_path))
    ends = pairs[1].ends()
    assert [end[0] for end in ends] == [0, 0], ends
    assert "backbone: " in ends[0][1] and "backbone: " not in ends[1][1]
    assert not (tmp_path / "not the chief").exists(), "only the chief writes"
    steps = [json.loads(line)["step"] for line in (tmp_path / "metrics.jsonl").open()]
    assert steps == list(range(1, STEPS + 1))
    assert_equal(weights(tmp_path), train("supervised_digits", SUPERVISED, tmp_path / "alone"))


@pytest.mark.slow
def test_nobody_leaves_before_the_chief_has_saved(pairs: list[Pair], tmp_path: Path) -> None:
    """A launcher may end the whole job with the first process that leaves it."""
    program = ("-c", SLOW_TO_LEAVE.format(seconds=6))
    pairs.append(Pair(tmp_path, program=program))
    pair = pairs[0]
    pair.wait_for_step(2)
    for process in pair.processes:
        process.send_signal(signal.SIGTERM)
    told = time.monotonic()
    while time.monotonic() - told < 5:
        assert [process.poll() for process in pair.processes] == [None, None], pair.ends()
        time.sleep(0.1)
    ends = pair.ends()
    assert [code for code, _, _ in ends] == [143, 143], ends
    newest = max((tmp_path / "checkpoints").rglob("*.burn")).stem
    step = json.loads((tmp_path / "metrics.jsonl").read_text().splitlines()[-1])["step"]
    assert newest == f"checkpoint-{step:010d}"
    assert f"saved at step {step}" in one_line(ends[0][2])
    assert f"stopped at step {step}, which the chief saves" in one_line(ends[1][2])
