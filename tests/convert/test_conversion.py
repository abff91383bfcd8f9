"""From a file to models, and from models to files: all of it or nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.convert import Converted, convert_checkpoint
from burn_tf.convert import conversion as conversion_module
from tests.convert.authors_reactnet import Tensors, linear, saved
from tests.convert.test_resnet import random_tensors

Write = Callable[..., Path]


@pytest.fixture(scope="module")
def tensors() -> Tensors:
    return saved(random_tensors(18) | linear(np.random.default_rng(3), "fc", 64, 5))


def dense(units: int, seed: int) -> tf.keras.Model:
    initializer = tf.keras.initializers.GlorotUniform(seed)
    layer = tf.keras.layers.Dense(units, kernel_initializer=initializer, input_shape=(3,))
    return tf.keras.Sequential([layer])


@pytest.fixture
def converted() -> Converted:
    heads = {"classifier": dense(4, 1), "projector": dense(5, 2)}
    return Converted("moco_v2_resnet50", True, dense(3, 0), heads, [], [], {})


def test_what_comes_with_the_network(tensors: Tensors, checkpoint: Write) -> None:
    state = {
        "optimizer.state.0.exp_avg": np.zeros(3, "f4"),
        "scheduler.last_lr": np.zeros(1, "f4"),
        "lr_scheduler.x": np.zeros(1, "f4"),
        "scaler.scale": np.ones(1, "f4"),
    }
    found = convert_checkpoint(checkpoint(tensors | state), input_size=(32, 64))
    assert (found.layout, found.guessed) == ("torchvision_resnet18", True)
    assert found.dropped == sorted(state)
    assert (found.heads, found.notes, found.facts) == ({}, [], {})
    assert found.backbone.input_shape == (None, 32, 64, 3)
    again = convert_checkpoint(checkpoint(tensors), "torchvision_resnet18", input_size=32)
    assert not again.guessed
    for ours, theirs in zip(
        found.backbone.get_weights(), again.backbone.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)


def test_missing_and_unused_tensors_are_listed(tensors: Tensors, checkpoint: Write) -> None:
    changed = {
        name.replace("layer1.0.bn1", "layer1.0.norm1"): value for name, value in tensors.items()
    }
    with pytest.raises(UserError) as caught:
        convert_checkpoint(checkpoint(changed), input_size=32)
    message = str(caught.value)
    assert "\n" not in message
    assert "does not fit layout 'torchvision_resnet18'. Received: 4 missing (" in message
    assert "layer1.0.bn1.bias, layer1.0.bn1.running_mean, " in message
    # Its counter is unused too.
    assert "5 unused (layer1.0.norm1.bias, layer1.0.norm1.num_batches_tracked, " in message


def test_a_network_cut_short(tensors: Tensors, checkpoint: Write) -> None:
    short = {name: value for name, value in tensors.items() if not name.startswith("layer2.")}
    with pytest.raises(UserError, match=r"Received: 25 missing \(.* and 20 more\)$"):
        convert_checkpoint(checkpoint(short), input_size=32)


@pytest.mark.parametrize("size", [0, "32", (32,), 31.5])
def test_sizes_are_checked_before_the_file_is_read(size: Any, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="`input_size`"):
        convert_checkpoint(tmp_path / "absent.pth", input_size=size)


def test_layouts_are_checked_before_the_file_is_read(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Did you mean 'torchvision_resnet18'"):
        convert_checkpoint(tmp_path / "absent.pth", "torchvision_resnet81")


def test_heads_are_saved_beside_the_backbone(converted: Converted, tmp_path: Path) -> None:
    files = converted.save(tmp_path / "r50.keras")
    names = ["r50.keras", "r50.classifier.keras", "r50.projector.keras"]
    assert [file.name for file in files] == names
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)
    models = [converted.backbone, *converted.heads.values()]
    for file, model in zip(files, models, strict=True):
        again = tf.keras.models.load_model(file, compile=False)
        for ours, theirs in zip(model.get_weights(), again.get_weights(), strict=True):
            np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("name", ["r50", "r50.h5", "r50.keras.zip"])
def test_other_suffixes_are_refused(name: str, converted: Converted, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"must end in '\.keras'. Received: "):
        converted.save(tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_full_disk_leaves_the_old_files(
    converted: Converted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = converted.save(tmp_path / "r50.keras")
    before = [file.read_bytes() for file in files]

    def full(self: Any, path: Any, *args: Any, **kwargs: Any) -> None:
        Path(path).write_bytes(b"half of a mod")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tf.keras.Model, "save", full)
    monkeypatch.setattr(tf.keras.Sequential, "save", full)
    with pytest.raises(UserError, match=r"cannot write .*No space left on device"):
        converted.save(tmp_path / "r50.keras")
    assert [file.read_bytes() for file in files] == before
    assert sorted(tmp_path.iterdir()) == sorted(files)


def test_a_folder_that_cannot_be(converted: Converted, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UserError, match=r"cannot write .*choose another `path`"):
        converted.save(tmp_path / "file" / "r50.keras")


def test_nothing_is_built_of_a_file_that_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversion_module, "get_layout", None)
    path = tmp_path / "weights.pth"
    path.write_bytes(b"<html>404</html>")
    with pytest.raises(UserError, match=r"PyTorch .* checkpoint, and whole"):
        convert_checkpoint(path, "torchvision_resnet18")
