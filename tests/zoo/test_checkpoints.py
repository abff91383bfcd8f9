"""The authors' checkpoints: only after their licence is accepted, and ending as asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.convert import convert_checkpoint, safetensors_bytes
from tests.zoo.authors import reactnet_tensors
from tests.zoo.tiny import tiny_entry
from zoo import manifest
from zoo.builders import ReActNetA, ResNet50
from zoo.checkpoints import check_licence
from zoo.loading import load

LICENCE = "CC BY-NC 4.0"


@pytest.fixture(scope="module")
def burn_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """BURN after stage 2: 256 channels, a Dense of 48 - ReLU behind the pooling."""
    path = tmp_path_factory.mktemp("authors") / "burn_stage2.safetensors"
    tensors = reactnet_tensors("backbone.", flat=False, dense="fc.0", outputs=48)
    path.write_bytes(safetensors_bytes(tensors))
    return path


@pytest.fixture(scope="module")
def reactnet_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ReActNet-A trained with the labels of 9 classes."""
    path = tmp_path_factory.mktemp("authors") / "reactnet_a.safetensors"
    path.write_bytes(safetensors_bytes(reactnet_tensors(flat=True, dense="fc", outputs=9)))
    return path


@pytest.fixture
def zoo_of_reactnet(empty_zoo: Path, tiny_network: Any) -> None:
    """A zoo with a ReActNet-A whose own weights are nowhere."""
    network = type(tiny_network)("reactnet_a", stem_strides=1)
    entry = tiny_entry(network, b"x", name="burn")
    (empty_zoo / "manifest.json").write_text(manifest.manifest_text([entry]))


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(3).normal(size=(2, 64, 96, 3)).astype(np.float32)


def output(model: tf.keras.Model, images: np.ndarray) -> np.ndarray:
    return np.asarray(model(images))


def close(a: Any, b: Any) -> None:
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("stated", ["CC BY-NC 4.0", "CC-BY-NC-4.0", "cc by-nc 4.0"])
def test_licence_accepted(stated: str, monkeypatch: pytest.MonkeyPatch) -> None:
    check_licence(stated)
    monkeypatch.setenv("BURN_TF_ACCEPT_LICENSE", stated)
    check_licence(None)


@pytest.mark.parametrize("stated", [None, "", "yes", "MIT", "CC BY 4.0"])
def test_licence_not_accepted(stated: str | None) -> None:
    with pytest.raises(UserError, match=r"accept_license='CC BY-NC 4\.0'"):
        check_licence(stated)


@pytest.mark.usefixtures("zoo_of_reactnet")
class TestLoad:
    shape = (64, 96, 3)

    def test_needs_the_licence(self, burn_file: Path) -> None:
        with pytest.raises(UserError, match="no commercial use"):
            load("burn", weights=burn_file)

    def test_needs_the_licence_before_a_download(self, mirrors: Any) -> None:
        mirror = mirrors()
        with pytest.raises(UserError, match="no commercial use"):
            load("burn", weights=mirror.url("burn_stage2.pth"))
        assert mirror.ranges == []

    def test_features(
        self, burn_file: Path, images: np.ndarray, capsys: pytest.CaptureFixture[str]
    ) -> None:
        wanted = convert_checkpoint(burn_file, input_size=(64, 96)).backbone
        model = load(
            "burn", burn_file, self.shape, pooling="avg", accept_license=LICENCE, trainable=False
        )
        assert model.output_shape == (None, 48) and not model.trainable_variables
        assert model.name == "burn"
        close(output(model, images), output(wanted, images))
        assert "has layout 'burn_stage2'" in capsys.readouterr().err

    def test_is_224_pixels_by_default(
        self, burn_file: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("BURN_TF_ACCEPT_LICENSE", LICENCE)
        assert load("burn", burn_file, pooling="avg").input_shape == (None, 224, 224, 3)

    def test_the_feature_map_lies_as_the_image(self, burn_file: Path, images: np.ndarray) -> None:
        converted = convert_checkpoint(burn_file, input_size=(64, 96)).backbone
        turned = tf.keras.Model(converted.input, converted.get_layer("pool").input)
        model = load("burn", burn_file, self.shape, accept_license=LICENCE)
        given = output(model, images)
        assert given.shape == (2, 2, 3, 256)
        close(given, output(turned, images)[:, ::-1, ::-1])
        largest = load("burn", burn_file, self.shape, pooling="max", accept_license=LICENCE)
        close(output(largest, images), given.max((1, 2)))

    def test_a_new_top(self, burn_file: Path, images: np.ndarray) -> None:
        model = load(
            "burn", burn_file, self.shape, include_top=True, classes=5, accept_license=LICENCE
        )
        assert model.get_layer("logits").kernel.shape == (48, 5)
        with pytest.raises(UserError, match="no trained classifier"):
            load("burn", burn_file, self.shape, include_top=True, accept_license=LICENCE)

    @pytest.mark.parametrize("classes", [None, 9])
    def test_the_trained_top(
        self, classes: int | None, reactnet_file: Path, images: np.ndarray
    ) -> None:
        wanted = convert_checkpoint(reactnet_file, input_size=(64, 96)).backbone
        model = load(
            "burn",
            reactnet_file,
            self.shape,
            include_top=True,
            classes=classes,
            accept_license=LICENCE,
        )
        close(output(model, images), output(wanted, images))

    def test_survives_saving(self, burn_file: Path, images: np.ndarray, tmp_path: Path) -> None:
        model = load("burn", burn_file, self.shape, accept_license=LICENCE)
        model.save(tmp_path / "model.keras")
        again = tf.keras.models.load_model(tmp_path / "model.keras")
        close(output(again, images), output(model, images))

    @pytest.mark.parametrize(
        ("shape", "message"),
        [
            ((64, 96, 1), "three channels"),
            ((64, 90, 3), "multiple of 32"),
            ((None, None, 3), "multiple of 32"),
        ],
    )
    def test_shapes_it_cannot_have(
        self, shape: tuple[int | None, ...], message: str, burn_file: Path
    ) -> None:
        with pytest.raises(UserError, match=message):
            load("burn", burn_file, shape, accept_license=LICENCE)

    def test_by_its_address(
        self, burn_file: Path, mirrors: Any, cache: Path, images: np.ndarray
    ) -> None:
        url = mirrors(burn_file.read_bytes()).url("burn_stage2.safetensors")
        model = load("burn", url, self.shape, pooling="avg", accept_license=LICENCE)
        assert model.output_shape == (None, 48)

    @pytest.mark.parametrize("content", [b"no checkpoint at all", b"PK\x03\x04 torn"])
    def test_a_download_of_no_use_is_forgotten(
        self, content: bytes, mirrors: Any, cache: Path
    ) -> None:
        with pytest.raises(UserError):
            load("burn", mirrors(content).url("burn.pth"), accept_license=LICENCE)
        assert [path for path in cache.rglob("*") if path.is_file()] == []


class TestBuilders:
    def test_give_the_network_of_the_file(self, burn_file: Path, images: np.ndarray) -> None:
        wanted = convert_checkpoint(burn_file, input_size=(64, 96)).backbone
        model = ReActNetA((64, 96, 3), False, burn_file, "avg", name="mine", accept_license=LICENCE)
        assert model.name == "mine"
        close(output(model, images), output(wanted, images))

    def test_take_no_settings_beside_it(self, burn_file: Path) -> None:
        with pytest.raises(UserError, match="`width` must be left out"):
            ReActNetA(weights=burn_file, width=0.25, accept_license=LICENCE)

    def test_of_another_network(self, burn_file: Path) -> None:
        with pytest.raises(UserError, match="must hold a resnet50"):
            ResNet50(
                include_top=False,
                weights=burn_file,
                input_shape=(64, 64, 3),
                accept_license=LICENCE,
            )
