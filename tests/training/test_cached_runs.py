"""Runs with kept features of a teacher: of packed images, of two processes that train together."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from burn_tf.cli.main import main
from burn_tf.data import load_source, pack_source
from burn_tf.recipes import get_recipe, override
from burn_tf.training import TeacherCache
from tests.data.test_packing import photograph

ROOT = Path(__file__).resolve().parents[2]


def teacher(size: int) -> tf.keras.Model:
    """A convolution and its mean, of one seed."""
    tf.keras.utils.set_random_seed(3)
    images = tf.keras.Input((size, size, 3))
    maps = tf.keras.layers.Conv2D(6, 3, 2, activation="relu")(images)
    return tf.keras.Model(images, tf.keras.layers.GlobalAveragePooling2D()(maps))


def kept_files(folder: Path) -> dict[str, bytes]:
    return {f"{path.parent.name}/{path.name}": path.read_bytes() for path in folder.rglob("*.npy")}


def test_packed_images_have_the_features_of_their_files(tmp_path: Path) -> None:
    """Bit for bit; another packing of the same images finds what is kept."""
    (tmp_path / "pictures").mkdir()
    for i in range(8):
        photograph(i).save(tmp_path / "pictures" / f"{i}.jpg")
    pack_source(str(tmp_path / "pictures"), tmp_path / "packed", shards=2)
    pack_source(str(tmp_path / "pictures"), tmp_path / "again", shards=1)
    given = ["views.num_views=2", "views.image_size=16", "views.policy=moco_v2,digits"]
    recipe = override(get_recipe("burn_digits"), [*given, "batch_size=4"])

    def features(data: str) -> tuple[list[np.ndarray], str]:
        said = io.StringIO()
        cache = TeacherCache(tmp_path / "cache", views=4)
        kept = cache.features(teacher(16), recipe, load_source(data), said)
        return kept.rows(np.arange(2 * 6)), said.getvalue()

    of_files, _ = features(str(tmp_path / "pictures"))
    of_packed, said = features(f"packed:{tmp_path / 'packed'}")
    assert "288 bytes of it to compute" in said
    found, said = features(f"packed:{tmp_path / 'again'}")
    assert " 0 bytes of it to compute" in said
    assert of_files[0].std(axis=0).min() > 0
    np.testing.assert_array_equal(of_packed, of_files)
    np.testing.assert_array_equal(found, of_files)


SETTINGS = [
    "backbone.name=resnet18",
    "backbone.width=0.0625",
    # Real numbers: a sign that flips changes the loss by more than rounding does.
    "stages=none",
    "optimizer.name=sgd",
    "optimizer.learning_rate=1e-3",
    "batch_size=8",
    "epochs=3",
    "max_steps=6",
    "method.hidden_dim=8",
    "method.num_outputs=8",
]


@pytest.mark.slow
def test_two_processes_that_share_one_folder(tmp_path: Path) -> None:
    """They learn in every update what one process learns; the chief alone computes the features."""
    teacher(16).save(tmp_path / "teacher.keras")
    settings = [*SETTINGS, f"teacher.weights={tmp_path / 'teacher.keras'}"]

    def words(name: str) -> list[str]:
        flags = ["--recipe=burn_digits", "--data=synthetic:40", "--cached_views=2"]
        flags += [f"--teacher_cache={tmp_path}/{name}_cache", f"--workdir={tmp_path}/{name}"]
        return [*flags, *(f"--set={setting}" for setting in settings)]

    script = str(ROOT / "examples" / "launch" / "two_processes.sh")
    environment = {**os.environ, "PYTHON": sys.executable, "PYTHONPATH": str(ROOT)}
    both = subprocess.run(
        [script, *words("both")], env=environment, capture_output=True, text=True, timeout=300
    )
    assert both.returncode == 0, both.stderr
    assert both.stderr.count("of it to compute") == 1
    assert main(["pretrain", *words("alone")]) == 0
    assert kept_files(tmp_path / "both_cache") == kept_files(tmp_path / "alone_cache") != {}
    lines, expected = (logged(tmp_path / name) for name in ("both", "alone"))
    for name in ("loss", "kl", "feature"):
        values = [line[name] for line in lines]
        np.testing.assert_allclose(values, [line[name] for line in expected], rtol=1e-5)
    moved = [line["feature"] for line in expected]
    assert max(moved) > 1.001 * min(moved)


def logged(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 6
    return [json.loads(line) for line in lines]
