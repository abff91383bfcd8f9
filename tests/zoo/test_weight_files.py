"""Files are told by what is in them. Filling from them: test_loading.py, test_builders.py."""

from __future__ import annotations

import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from burn_tf._checks import UserError
from burn_tf.convert import safetensors_bytes
from zoo import weight_files
from zoo.weight_files import CHECKPOINT, KERAS, PACKED


def archive(path: Path, member: str) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(member, "{}")
    return path


def test_kinds(tmp_path: Path, tiny_file: Path) -> None:
    foreign = tmp_path / "foreign.safetensors"
    foreign.write_bytes(safetensors_bytes({"fc.weight": np.zeros([2, 2], np.float32)}))
    torn = tmp_path / "torn.pth"
    torn.write_bytes(b"\x80\x02}q\x00")
    empty = tmp_path / "empty.pth"
    empty.touch()
    hdf5 = tmp_path / "model.bin"
    h5py.File(hdf5, "w").close()
    renamed = tmp_path / "renamed.pth"
    renamed.write_bytes(tiny_file.read_bytes())
    kinds = {
        tiny_file: PACKED,
        renamed: PACKED,
        foreign: CHECKPOINT,
        torn: CHECKPOINT,
        empty: CHECKPOINT,
        hdf5: KERAS,
        tmp_path: KERAS,
        archive(tmp_path / "model.zip", "config.json"): KERAS,
        archive(tmp_path / "torch.zip", "archive/data.pkl"): CHECKPOINT,
    }
    assert {path: weight_files.kind_of(path) for path in kinds} == kinds


def test_a_truncated_packed_file(tmp_path: Path, tiny_file: Path) -> None:
    half = tmp_path / "half.safetensors"
    half.write_bytes(tiny_file.read_bytes()[:-100])
    with pytest.raises(UserError, match="is cut off or damaged"):
        weight_files.kind_of(half)


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ("burn.pth", True),
        ("a/b.pth.tar", True),
        (Path("c.pt"), True),
        ("https://host/burn.pth?download=1#sha256=00", True),
        ("d.safetensors", False),
        ("e.keras", False),
        ("https://host/model.keras?name=burn.pth", False),
    ],
)
def test_names_of_checkpoints(weights: str | Path, expected: bool) -> None:
    assert weight_files.looks_like_checkpoint(weights) is expected


def test_a_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a.keras").touch()
    assert weight_files.find_file("~/a.keras", ()) == tmp_path / "a.keras"


def test_no_keras_model(tmp_path: Path, tiny_reference: object) -> None:
    path = archive(tmp_path / "model.keras", "config.json")
    with pytest.raises(UserError, match="cannot be loaded: the configuration must be"):
        weight_files.fill(tiny_reference, path, KERAS, new_top=False)
