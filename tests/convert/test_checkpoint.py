"""Whole checkpoints are read, whatever they are called; the rest is one line, and never runs."""

from __future__ import annotations

import io
import json
import lzma
import os
import pickle
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.convert import checkpoint as checkpoint_module
from burn_tf.convert import read_checkpoint, safetensors_bytes

TENSORS = {"conv1.weight": np.float32([[1, 2], [3, 4]]), "bn1.num_batches_tracked": np.int64(7)}


def written(folder: Path, content: bytes, name: str = "weights.pth") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def refused(path: Path) -> str:
    """The one line that a file is refused with."""
    with pytest.raises(UserError) as caught:
        read_checkpoint(path)
    message = str(caught.value)
    assert "\n" not in message and path.name in message and "Received: " in message
    return message


class Evil:
    """A pickle of it makes a folder when it is loaded."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.target),)


class TestWithoutTorch:
    @pytest.mark.parametrize("name", ["weights.safetensors", "weights.pth", "no_suffix"])
    def test_safetensors_under_any_name(self, name: str, tmp_path: Path) -> None:
        content = safetensors_bytes(TENSORS, {"epoch": "3"})
        found = read_checkpoint(written(tmp_path, content, name))
        assert set(found.tensors) == set(TENSORS)
        np.testing.assert_array_equal(found.tensors["conv1.weight"], TENSORS["conv1.weight"])
        assert found.facts == {"epoch": "3"}
        assert found.source == str(tmp_path / name)

    def test_compressed(self, tmp_path: Path) -> None:
        content = lzma.compress(safetensors_bytes(TENSORS))
        found = read_checkpoint(written(tmp_path, content, "weights.safetensors.xz"))
        assert found.tensors["bn1.num_batches_tracked"] == 7
        message = refused(written(tmp_path, content[:-20]))
        assert "not a whole checkpoint" in message

    def test_wrappers_are_taken_off_the_names(self, tmp_path: Path) -> None:
        tensors = {
            "module.encoder_q.fc.0.weight": np.float32([1]),
            "backbone.state_dict.conv.weight": np.float32([2]),
            "submodule.x": np.float32([3]),
        }
        found = read_checkpoint(written(tmp_path, safetensors_bytes(tensors)))
        assert {name: value.item() for name, value in found.tensors.items()} == {
            "encoder_q.fc.0.weight": 1,
            "backbone.conv.weight": 2,
            "submodule.x": 3,
        }

    def test_names_that_meet(self, tmp_path: Path) -> None:
        content = safetensors_bytes({"module.a": np.float32([1]), "a": np.float32([2])})
        assert "'a' twice" in refused(written(tmp_path, content))

    def test_float16_is_widened_and_the_rest_kept(self, tmp_path: Path) -> None:
        values = {"a": np.float16([0.5]), "b": np.float64([1.5]), "c": np.int8([2])}
        found = read_checkpoint(written(tmp_path, safetensors_bytes(values))).tensors
        assert [found[name].dtype for name in "abc"] == [np.float32, np.float64, np.int8]
        assert found["a"].item() == 0.5

    @pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
    def test_values_that_are_not_finite(self, bad: float, tmp_path: Path) -> None:
        content = safetensors_bytes({"conv.weight": np.float32([0, bad])})
        message = refused(written(tmp_path, content))
        assert "take an earlier checkpoint" in message and "'conv.weight'" in message

    def test_no_tensors(self, tmp_path: Path) -> None:
        assert "must hold tensors" in refused(written(tmp_path, safetensors_bytes({})))

    @pytest.mark.parametrize(
        ("content", "received"),
        [
            (b"", "0 bytes"),
            (b"not a model", "11 bytes"),
            (b"\x89HDF\r\n\x1a\n" + bytes(64), "an HDF5 file"),
            (b"<html>404</html>", "16 bytes"),
        ],
    )
    def test_other_files(self, content: bytes, received: str, tmp_path: Path) -> None:
        message = refused(written(tmp_path, content))
        assert "PyTorch (.pth, .pt) or .safetensors checkpoint" in message
        assert f"Received: {received}" in message

    def test_a_keras_model_is_called_one(self, tmp_path: Path) -> None:
        path = tmp_path / "model.keras"
        tf.keras.Sequential([tf.keras.layers.Dense(2, input_shape=(3,))]).save(path)
        assert "a Keras model, which tf.keras.models.load_model reads" in refused(path)

    def test_absent_files_and_folders(self, tmp_path: Path) -> None:
        assert "No such file" in refused(tmp_path / "absent.pth")
        assert "check the path" in refused(tmp_path)

    def test_a_truncated_file(self, tmp_path: Path) -> None:
        content = safetensors_bytes(TENSORS)
        for length in range(9, len(content), 7):
            assert "not a whole" in refused(written(tmp_path, content[:length]))

    def test_without_pytorch_its_files_are_one_line(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def absent(name: str) -> None:
            raise ImportError(f"no module {name}", name=name)

        monkeypatch.setattr(checkpoint_module.importlib, "import_module", absent)
        message = refused(written(tmp_path, pickle.dumps({"a": 1})))
        assert "pip install 'burn_tf[torch]'" in message


@pytest.mark.torch
class TestTorch:
    torch: Any

    @pytest.fixture(autouse=True)
    def find_torch(self) -> None:
        self.torch = pytest.importorskip("torch", reason="reads PyTorch's files")

    def saved(self, content: Any, path: Path, **kwargs: Any) -> Path:
        self.torch.save(content, path, **kwargs)
        return path

    def weights(self) -> dict[str, Any]:
        return {name: self.torch.tensor(value) for name, value in TENSORS.items()}

    @pytest.mark.parametrize("zipped", [True, False])
    @pytest.mark.parametrize("name", ["a.pth", "a.pth.tar", "a.safetensors"])
    def test_both_formats_under_any_name(self, zipped: bool, name: str, tmp_path: Path) -> None:
        path = self.saved(self.weights(), tmp_path / name, _use_new_zipfile_serialization=zipped)
        found = read_checkpoint(path).tensors
        assert set(found) == set(TENSORS)
        np.testing.assert_array_equal(found["conv1.weight"], TENSORS["conv1.weight"])
        assert found["bn1.num_batches_tracked"].dtype == np.int64

    def test_nesting_and_facts(self, tmp_path: Path) -> None:
        content = {
            "epoch": 255,
            "arch": "resnet50",
            "best": 61.5,
            "nothing": None,
            "backbone": {"state_dict": {f"module.{key}": v for key, v in self.weights().items()}},
            "optimizer": {"state": {0: {"exp_avg": self.torch.ones(2)}}, "lr": [0.1, 0.2]},
        }
        found = read_checkpoint(self.saved(content, tmp_path / "a.pth"))
        assert set(found.tensors) == {
            "backbone.conv1.weight",
            "backbone.bn1.num_batches_tracked",
            "optimizer.state.0.exp_avg",
        }
        assert found.facts == {
            "epoch": 255,
            "arch": "resnet50",
            "best": 61.5,
            "optimizer.lr.0": 0.1,
            "optimizer.lr.1": 0.2,
        }

    def test_types_and_strides(self, tmp_path: Path) -> None:
        torch = self.torch
        grid = torch.arange(6, dtype=torch.float32).reshape(2, 3)
        content = {
            "turned": grid.T,
            "part": grid[:, 1:],
            "bfloat16": grid.to(torch.bfloat16),
            "half": grid.half(),
            "parameter": torch.nn.Parameter(grid),
        }
        found = read_checkpoint(self.saved(content, tmp_path / "a.pth")).tensors
        expected = np.arange(6, dtype=np.float32).reshape(2, 3)
        np.testing.assert_array_equal(found.pop("turned"), expected.T)
        np.testing.assert_array_equal(found.pop("part"), expected[:, 1:])
        for name, value in found.items():
            assert value.dtype == np.float32, name
            np.testing.assert_array_equal(value, expected)

    def test_tensors_that_are_not_plain(self, tmp_path: Path) -> None:
        torch = self.torch
        for tensor in (torch.eye(3).to_sparse(), torch.zeros(2, dtype=torch.complex64)):
            assert "plain tensors" in refused(self.saved({"x": tensor}, tmp_path / "a.pth"))

    @pytest.mark.parametrize("zipped", [True, False])
    def test_code_is_refused_and_never_runs(self, zipped: bool, tmp_path: Path) -> None:
        target = tmp_path / "made_by_a_pickle"
        content = {"state_dict": self.weights(), "extra": Evil(target)}
        path = self.saved(content, tmp_path / "a.pth", _use_new_zipfile_serialization=zipped)
        message = refused(path)
        assert not target.exists()
        assert "nothing in a checkpoint is executed: save only its state_dict" in message
        assert re.search(r"Received: (posix|nt|os)\.mkdir$", message)

    @pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
    def test_a_plain_pickle_never_runs(
        self, protocol: int, tmp_path: Path, recwarn: pytest.WarningsRecorder
    ) -> None:
        target = tmp_path / "made_by_a_pickle"
        message = refused(written(tmp_path, pickle.dumps(Evil(target), protocol)))
        assert not target.exists()
        assert "nothing in a checkpoint is executed" in message
        assert "weights_only" not in message, "no advice to run it all the same"
        assert len(recwarn) == 0

    def test_code_in_xz_is_refused_too(self, tmp_path: Path) -> None:
        target = tmp_path / "made_by_a_pickle"
        buffer = io.BytesIO()
        self.torch.save({"a": Evil(target)}, buffer)
        refused(written(tmp_path, lzma.compress(buffer.getvalue())))
        assert not target.exists()

    def test_a_whole_module_in_place_of_its_tensors(self, tmp_path: Path) -> None:
        path = self.saved(self.torch.nn.Linear(2, 2), tmp_path / "a.pth")
        assert "save only its state_dict" in refused(path)

    @pytest.mark.parametrize("zipped", [True, False])
    def test_every_truncation(self, zipped: bool, tmp_path: Path) -> None:
        path = self.saved(self.weights(), tmp_path / "a.pth", _use_new_zipfile_serialization=zipped)
        content = path.read_bytes()
        for length in range(1, len(content), 1 + len(content) // 60):
            refused(written(tmp_path, content[:length], "cut.pth"))

    @pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
    @pytest.mark.parametrize("folder", ["", "folder/"])
    def test_rezipped(self, method: int, folder: str, tmp_path: Path) -> None:
        path = self.saved(self.weights(), tmp_path / "a.pth")
        with zipfile.ZipFile(path) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        again = tmp_path / "again.pth"
        with zipfile.ZipFile(again, "w", method) as archive:
            if folder:
                archive.writestr("readme.txt", "unpacked and packed again")
            for name, data in members.items():
                archive.writestr(folder + name, data)
        if folder:
            refused(again)
        else:
            found = read_checkpoint(again).tensors
            np.testing.assert_array_equal(found["conv1.weight"], TENSORS["conv1.weight"])

    def test_a_zip_of_a_checkpoint(self, tmp_path: Path) -> None:
        path = self.saved(self.weights(), tmp_path / "a.pth")
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
            archive.write(path, "a.pth")
        refused(tmp_path / "a.zip")

    def test_a_zip_of_something_else(self, tmp_path: Path) -> None:
        with zipfile.ZipFile(tmp_path / "a.pth", "w") as archive:
            archive.writestr("notes.json", json.dumps({"a": 1}))
        assert "not a whole checkpoint" in refused(tmp_path / "a.pth")

    def test_no_end_of_nesting(self, tmp_path: Path) -> None:
        content: Any = self.weights()
        for _ in range(20):
            content = {"deeper": content}
        assert "16 levels" in refused(self.saved(content, tmp_path / "a.pth"))

    def test_numbers_only(self, tmp_path: Path) -> None:
        assert "must hold tensors" in refused(self.saved({"epoch": 3}, tmp_path / "a.pth"))

    def test_a_bare_tensor(self, tmp_path: Path) -> None:
        path = self.saved(self.torch.ones(2), tmp_path / "a.pth")
        assert set(read_checkpoint(path).tensors) == {""}
