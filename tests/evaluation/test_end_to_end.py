"""Every protocol from the command line and on real images, whole."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import zoo
from burn_tf.cli.main import main
from burn_tf.data import Source, load_source
from burn_tf.evaluation import PROTOCOLS, EvaluationData, run_protocols

# Digits have no boxes; semi:list is semi:1pct on the images that a file names.
OTHER = ("detect:", "segment:", "semi:list")
ANY_DATA = sorted(name for name in PROTOCOLS if not name.startswith(OTHER))
# LIBLINEAR takes minutes on maps of 2,048 values.
PROBES = [name for name in ANY_DATA if not name.startswith(("semi:", "svm:"))]


def _score(metrics: dict[str, float]) -> float:
    """The figure that says how well classes are told apart, in percent."""
    return next(metrics[name] for name in ("top1", "map11", "map11_k96") if name in metrics)


@pytest.fixture(scope="module")
def digits_network(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A binary network that knows the brightness of each quarter: enough to be above chance.

    For few values: the SVMs' 22,000 fits are nearly all of the time.
    """
    path = tmp_path_factory.mktemp("model") / "tiny.keras"
    tf.keras.utils.set_random_seed(1)
    zoo.ReActNetTiny(input_shape=(8, 8, 3), include_top=False, pooling="avg").save(path)
    return str(path)


@pytest.mark.slow
def test_every_protocol_on_digits(digits_network: str, tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    words = [f"--protocol={','.join(ANY_DATA)}", f"--model={digits_network}", "--data=digits"]
    assert main(["evaluate", *words, f"--json={file}", "--cache=none"]) == 0
    records = json.loads(file.read_text(encoding="utf-8"))
    assert [record["protocol"] for record in records] == ANY_DATA
    for record in records:
        assert np.isfinite(list(record["metrics"].values())).all(), record["protocol"]
        assert {"weights_sha256", "versions", "command"} <= set(record["provenance"])
        if record["protocol"] != "embedding":
            # Chance is 10 %; semi:1pct has 14 images, semi:10pct 144.
            assert _score(record["metrics"]) > 12.0, record["protocol"]


def test_transfer_to_other_images_is_said(
    digits_network: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Scenes: the least epochs of the six."""
    words = ["--protocol=transfer:places205", f"--model={digits_network}", "--data=digits"]
    assert main(["evaluate", *words, "--cache=none"]) == 0
    found = capsys.readouterr()
    said = "burn-tf: warning: transfer:places205: digits is not places205: 10 classes in place of"
    assert said in found.err and found.out.startswith("protocol transfer:places205  top1 ")


def _part(source: Source, count: int) -> Source:
    return source.subset(np.linspace(0, source.num_images - 1, count).astype(int))


@pytest.mark.slow
def test_every_probe_on_cifar10(cifar10: str) -> None:
    """The zoo's weights beat the same network untrained under each of them."""
    entry = zoo.get_entry("burn_reactnet_a")
    train, test = (load_source(cifar10, split=split) for split in ("train", "test"))
    data = EvaluationData(_part(train, 2000), _part(test, 500), entry.input.size)
    scores = []
    for weights in ("default", None):
        backbone = zoo.load(entry.name, weights=weights, pooling="avg")
        results = run_protocols(PROBES, backbone, data)
        scores.append({result.protocol: result.metrics for result in results})
    trained, untrained = scores
    for name in trained:
        if name != "embedding":
            assert _score(trained[name]) > _score(untrained[name]) + 3.0, name
    assert trained["embedding"]["collapsed"] == 0
