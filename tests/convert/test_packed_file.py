"""The format as another program would read it, and files that are not what they should be."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from burn_tf._checks import UserError
from burn_tf.convert import load_packed, read_safetensors, safetensors_bytes, save_packed
from tests.convert.small_network import NUM_BINARY, small_network


@pytest.fixture(scope="module")
def model() -> Any:
    return small_network(classes=3)


@pytest.fixture
def path(tmp_path: Path, model: Any) -> Path:
    save_packed(model, tmp_path / "model.safetensors", metadata={"origin": "a test"})
    return tmp_path / "model.safetensors"


def parts(content: bytes) -> tuple[dict[str, Any], bytes]:
    """Header and data, read by hand."""
    (length,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def sealed(tensors: dict[str, np.ndarray], texts: dict[str, str]) -> bytes:
    """A file whose hash is right."""
    zeroed = safetensors_bytes(tensors, texts | {"sha256": "0" * 64})
    return safetensors_bytes(tensors, texts | {"sha256": hashlib.sha256(zeroed).hexdigest()})


def config_of(path: Path) -> Any:
    text = read_safetensors(path)[1]["model"]
    return json.loads(zlib.decompress(base64.b64decode(text)))


def deflated(config: Any) -> str:
    return base64.b64encode(zlib.compress(json.dumps(config).encode())).decode()


def change(path: Path, **texts: str) -> None:
    tensors, metadata = read_safetensors(path)
    path.write_bytes(sealed(tensors, metadata | texts))


def refusal(path: Path) -> str:
    with pytest.raises(UserError) as error:
        load_packed(path)
    assert "\n" not in str(error.value)
    assert "Received: " in str(error.value)
    return str(error.value)


class TestFormat:
    def test_signs_and_scales_read_by_hand(self, path, model):
        header, data = parts(path.read_bytes())
        shapes = json.loads(header["__metadata__"]["kernel_shapes"])
        assert len(shapes) == NUM_BINARY
        for name, shape in shapes.items():
            begin, end = header[f"{name}:bits"]["data_offsets"]
            packed = data[begin:end]
            begin, end = header[f"{name}:scale"]["data_offsets"]
            scales = struct.unpack(f"<{shape[-1]}f", data[begin:end])
            latent = model.get_layer(name.split("/")[0]).kernel.numpy().ravel()
            for index in (0, 1, 13, len(latent) // 2, len(latent) - 1):
                positive = packed[index // 8] >> (index % 8) & 1
                assert positive == (latent[index] >= 0)
                column = latent.reshape(-1, shape[-1])[:, index % shape[-1]]
                assert scales[index % shape[-1]] == pytest.approx(np.abs(column).mean(), rel=1e-5)

    def test_hash_is_that_of_the_file_with_zeros_in_its_place(self, path):
        content = path.read_bytes()
        texts = parts(content)[0]["__metadata__"]
        zeroed = content.replace(texts["sha256"].encode(), b"0" * 64)
        assert hashlib.sha256(zeroed).hexdigest() == texts["sha256"]

    def test_metadata(self, path):
        texts = parts(path.read_bytes())[0]["__metadata__"]
        assert (texts["format"], texts["version"]) == ("burn_tf.packed", "1")
        assert json.loads(texts["user"]) == {"origin": "a test"}
        assert config_of(path)["class_name"] == "Model"
        assert config_of(path)["config"]["name"] == "small"

    def test_equal_models_give_equal_bytes(self, path, model, tmp_path):
        save_packed(model, tmp_path / "again.safetensors", metadata={"origin": "a test"})
        assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()


class TestDamage:
    def test_one_bit_anywhere(self, path):
        content = path.read_bytes()
        header_end = 8 + struct.unpack("<Q", content[:8])[0]
        places = [9, header_end // 2, header_end - 20, header_end, len(content) - 1]
        for place in [*places, *range(header_end, len(content), len(content) // 5)]:
            changed = bytearray(content)
            changed[place] ^= 1
            path.write_bytes(changed)
            refusal(path)
        path.write_bytes(content)
        load_packed(path)

    @pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.999])
    def test_cut_off(self, path, share):
        content = path.read_bytes()
        path.write_bytes(content[: int(share * len(content))])
        assert "not a whole .safetensors file" in refusal(path)

    def test_hash_of_another_file(self, path):
        tensors, metadata = read_safetensors(path)
        path.write_bytes(safetensors_bytes(tensors, metadata | {"sha256": "5" * 64}))
        assert "555555555555.." in refusal(path)

    @pytest.mark.parametrize("claimed", ["", "a", "none"])
    def test_no_hash(self, path, claimed):
        tensors, metadata = read_safetensors(path)
        path.write_bytes(safetensors_bytes(tensors, metadata | {"sha256": claimed}))
        assert "is damaged" in refusal(path)

    def test_absent_or_a_folder(self, tmp_path):
        assert "No such file" in refusal(tmp_path / "none.safetensors")
        assert "cannot read" in refusal(tmp_path)


class TestAnotherFile:
    def test_newer_version(self, path):
        change(path, version="2")
        assert "newer format: pip install --upgrade burn_tf. Received: version 2" in refusal(path)

    @pytest.mark.parametrize("version", ["", "one", "-1", "9" * 5000])
    def test_no_version(self, path, version):
        change(path, version=version)
        assert "is damaged" in refusal(path)

    def test_plain_safetensors(self, path):
        path.write_bytes(safetensors_bytes({"conv.weight": np.ones(3)}))
        assert "written by burn_tf.convert.save_packed" in refusal(path)

    @pytest.mark.parametrize("kind", ["keras", "zip"])
    def test_renamed_or_zipped(self, path, model, tmp_path, kind):
        target = tmp_path / "other.safetensors"
        if kind == "keras":
            model.save(tmp_path / "model.keras")
            (tmp_path / "model.keras").rename(target)
        else:
            with zipfile.ZipFile(target, "w") as archive:
                archive.write(path, "model.safetensors")
        assert "not a whole .safetensors file" in refusal(target)


def _stem(whole: Any, class_name: str, **entry: Any) -> Any:
    """The configuration with its first convolution replaced."""
    whole["config"]["layers"][1] |= {"class_name": class_name, **entry}
    return whole


def _activation(config: Any) -> Any:
    function = {"module": "builtins", "class_name": "function", "config": "exec"}
    config["config"]["layers"][1]["config"]["activation"] = function
    return config


HOSTILE: dict[str, Callable[[Any], Any]] = {
    "module": lambda c: _stem(c, "Popen", module="subprocess"),
    "registered": lambda c: _stem(c, "X", module="os", registered_name="system"),
    "keras_function": lambda c: _stem(c, "get_file", module="keras.utils"),
    "layers_function": lambda c: _stem(c, "deserialize"),
    "lambda": lambda c: _stem(c, "Lambda", config={"function": "x"}),
    "byte_code": lambda c: _stem(c, "__lambda__", config={"value": "AA=="}),
    "any_op": lambda c: _stem(c, "TFOpLambda", config={"function": "io.write_file"}),
    "function": _activation,
}


class TestContent:
    @pytest.mark.parametrize("name", HOSTILE)
    def test_code_is_refused(self, path, name):
        change(path, model=deflated(HOSTILE[name](config_of(path))))
        assert re.search("made of layers, not of code|classes registered", refusal(path))

    @pytest.mark.parametrize(
        "text", ["", "no base64!", base64.b64encode(b"no deflate").decode(), deflated([])[:-8]]
    )
    def test_unreadable_configuration(self, path, text):
        change(path, model=text)
        refusal(path)

    @pytest.mark.parametrize("config", [[], {}, 3, {"class_name": "Dense", "config": {}}])
    def test_no_model(self, path, config):
        change(path, model=deflated(config))
        assert "must be that of a model" in refusal(path)

    @pytest.mark.parametrize("inner", [{}, {"layers": []}, {"layers": [{"class_name": "ReLU"}]}, 3])
    def test_incomplete_model(self, path, inner):
        config = {"class_name": "Model", "module": "keras", "config": inner}
        change(path, model=deflated(config))
        refusal(path)

    def test_configuration_that_unfolds_into_all_of_the_memory(self, path):
        bomb = zlib.compress(b" " * 50_000_000)
        change(path, model=base64.b64encode(bomb).decode())
        assert "cut off or too long" in refusal(path)

    def test_deep_nesting(self, path):
        deep = base64.b64encode(zlib.compress(b"[" * 100_000)).decode()
        change(path, model=deep)
        refusal(path)

    @pytest.mark.parametrize("shapes", ["", "3", '{"a": 3}', '{"a": []}', '{"a": [-1, 2]}', "[1]"])
    def test_unreadable_shapes(self, path, shapes):
        change(path, kernel_shapes=shapes)
        assert "is damaged" in refusal(path)

    def test_bits_of_another_length(self, path):
        shapes = json.loads(read_safetensors(path)[1]["kernel_shapes"])
        first = next(iter(shapes))
        change(path, kernel_shapes=json.dumps(shapes | {first: [3, 3, 8, 90]}))
        refusal(path)

    def test_bits_without_scales(self, path):
        tensors, metadata = read_safetensors(path)
        del tensors["conv_3/kernel:scale"]
        path.write_bytes(sealed(tensors, metadata))
        assert "no 'conv_3/kernel:scale'" in refusal(path)

    def test_a_weight_too_few(self, path):
        tensors, metadata = read_safetensors(path)
        del tensors["stem_bn/beta"]
        path.write_bytes(sealed(tensors, metadata))
        assert "1 weights missing in the file (stem_bn/beta)" in refusal(path)
