"""A worker's probes are the named protocols; its failures are one line."""

from __future__ import annotations

import json
import pickle
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.compare import Settings, worker
from burn_tf.compare.comparison import run_in_process
from burn_tf.compare.plan import Plan, load_splits
from burn_tf.compare.worker import Job
from burn_tf.evaluation import EvaluationData, get_protocol, raw_pixels

Make = Callable[..., Settings]


def job_of(settings: Settings, folder: Path) -> Job:
    plan = Plan(settings, folder)
    return Job(plan.runs[-1], "digits", settings.images, False, 16, settings.probes, 60.0)


def test_probes_equal_the_protocols() -> None:
    data = EvaluationData(*load_splits("digits", 200, strict=False), image_size=8)
    names = ("linear:fast", "knn:5", "knn:20")
    wanted = {name: get_protocol(name).run(raw_pixels, data).metrics for name in names}
    passes = []

    def counted(images: tf.Tensor) -> tf.Tensor:
        passes.append(len(images))
        return raw_pixels(images)

    assert worker.probe(counted, data, names)["probes"] == wanted
    # One pass over each split for all probes together: 359 test images are two batches.
    assert passes == [200, 256, 103]


def test_a_constant_backbone_has_no_spread() -> None:
    data = EvaluationData(*load_splits("digits", 50, strict=False), image_size=8)
    constant = worker.probe(lambda images: tf.ones([tf.shape(images)[0], 4]), data, ("knn:5",))
    assert constant["test_feature_std"] == pytest.approx(0.0, abs=1e-6)
    assert worker.probe(raw_pixels, data, ("knn:5",))["test_feature_std"] > 0.3


def test_untrained_is_the_recipe_s_backbone_of_the_seed(
    small: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = tf.random.stateless_uniform([1, 16, 16, 3], [1, 2])
    monkeypatch.setattr(
        worker, "probe", lambda network, data, names: {"out": network(images).numpy().tolist()}
    )
    results = [
        worker.work(job_of(small(methods=("untrained",), seeds=(seed,)), tmp_path))
        for seed in (1, 2, 1)
    ]
    assert results[0] == results[2] != results[1]
    assert json.loads((tmp_path / "untrained-1" / "result.json").read_text()) == results[0]
    assert np.shape(results[0]["out"]) == (1, 64)


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (UserError("`a` must be b.\nMore."), "`a` must be b."),
        (ValueError(), "ValueError"),
        (TypeError("in user code:\n\n  File x\n    types differ"), "TypeError: types differ"),
        (MemoryError("no room"), "out of memory: no room"),
        (tf.errors.ResourceExhaustedError(None, None, "OOM\nmore"), "out of memory: OOM"),
    ],
)
def test_reasons(error: Exception, line: str) -> None:
    assert worker.reason_of(error) == line


def test_a_failure_is_kept(
    small: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    job = job_of(small(methods=("byol",)), tmp_path)
    job.run.folder.mkdir(parents=True)
    (job.run.folder / "run.json").write_text("{}")
    monkeypatch.setattr(worker, "follow_parent", lambda parent: None)
    monkeypatch.setattr(sys, "argv", ["worker", "1"])
    given = type("Stdin", (), {"buffer": _Bytes(pickle.dumps(job))})
    monkeypatch.setattr(sys, "stdin", given)
    assert worker.main() == 1
    failure = json.loads((job.run.folder / "failure.json").read_text())
    assert "another configuration" in failure["reason"] and failure["kind"] == "UserError"
    assert "Traceback" in capsys.readouterr().err


class _Bytes:
    def __init__(self, data: bytes) -> None:
        import io

        self._file = io.BytesIO(data)

    def read(self, size: int = -1) -> bytes:
        return self._file.read(size)

    def readline(self) -> bytes:
        return self._file.readline()


@pytest.mark.slow
def test_a_process_of_its_own(small: Make, tmp_path: Path) -> None:
    job = job_of(small(methods=("raw_pixels",), probes=("knn:5",)), tmp_path)
    assert run_in_process(job) == 0
    data = EvaluationData(*load_splits("digits", job.images, strict=False), image_size=16)
    result = json.loads((job.run.folder / "result.json").read_text())
    assert result["probes"] == worker.probe(raw_pixels, data, ("knn:5",))["probes"]
