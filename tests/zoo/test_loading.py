"""`load` gives the network of the card with its weights, ending and sized as asked."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from burn_tf import backbones
from burn_tf._checks import UserError
from burn_tf.convert import save_packed
from tests.zoo.tiny import shaken
from zoo.loading import load

pytestmark = pytest.mark.usefixtures("tiny_zoo")
SETTINGS: dict[str, Any] = {"width": 2.0, "stem_strides": 2, "pad_values": 0.0}


def features_of(model: tf.keras.Model, images: np.ndarray) -> np.ndarray:
    return np.asarray(model(images))


def close(a: Any, b: Any) -> None:
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_features(tiny_reference: tf.keras.Model, tiny_images: np.ndarray) -> None:
    model = load("tiny", pooling="avg")
    assert model.name == "tiny" and model.input_shape == (None, 24, 24, 3)
    close(features_of(model, tiny_images), features_of(tiny_reference, tiny_images))


def test_feature_map_and_maximum(tiny_reference: tf.keras.Model, tiny_images: np.ndarray) -> None:
    feature_map = features_of(load("tiny"), tiny_images)
    assert feature_map.shape == (4, 3, 3, 128)
    close(feature_map.mean((1, 2)), features_of(tiny_reference, tiny_images))
    close(features_of(load("tiny", pooling="max"), tiny_images), feature_map.max((1, 2)))


def test_a_new_top_has_random_weights_on_the_same_features(tiny_images: np.ndarray) -> None:
    tf.keras.utils.set_random_seed(0)
    first, second = (load("tiny", include_top=True, classes=5) for _ in range(2))
    inner = tf.keras.Model(first.input, first.get_layer("pool").output)
    close(features_of(inner, tiny_images), features_of(load("tiny", pooling="avg"), tiny_images))
    kernels = [np.asarray(model.get_layer("logits").kernel) for model in (first, second)]
    assert kernels[0].shape == (128, 5)
    limit = np.sqrt(6 / 133)
    assert 0.5 * limit < kernels[0].std() * np.sqrt(3) < 1.5 * limit
    assert np.abs(kernels[0] - kernels[1]).max() > 0.1 * limit


def test_no_initializer_of_ours_stays(tmp_path: Path, tiny_images: np.ndarray) -> None:
    model = load("tiny", include_top=True, classes=5)
    names = {type(getattr(layer, "kernel_initializer", None)).__name__ for layer in model.layers}
    assert names == {"GlorotUniform", "GlorotNormal", "NoneType"}
    model.save(tmp_path / "model.keras")
    again = tf.keras.models.load_model(tmp_path / "model.keras")
    close(features_of(again, tiny_images), features_of(model, tiny_images))


@pytest.mark.parametrize("shape", [(40, 24, 3), (17, 33, 3), (None, None, 3)])
def test_other_sizes(shape: tuple[int | None, ...], tiny_reference: tf.keras.Model) -> None:
    other = backbones.ReActNetTiny(shape, include_top=False, pooling="avg", **SETTINGS)
    other.set_weights(tiny_reference.get_weights())
    model = load("tiny", input_shape=shape, pooling="avg")
    assert model.input_shape == (None, *shape)
    size = [4, shape[0] or 19, shape[1] or 28, 3]
    images = np.random.default_rng(2).normal(size=size).astype(np.float32)
    close(features_of(model, images), features_of(other, images))


@pytest.mark.parametrize("channels", [1, 4])
def test_other_channels_answer_equal_channels_alike(
    channels: int, tiny_reference: tf.keras.Model, tiny_images: np.ndarray
) -> None:
    grey = tiny_images[..., :1]
    model = load("tiny", input_shape=(24, 24, channels), pooling="avg")
    given = features_of(model, np.repeat(grey, channels, 3))
    close(given, features_of(tiny_reference, np.repeat(grey, 3, 3)))


def test_frozen(tiny_images: np.ndarray) -> None:
    assert load("tiny", pooling="avg").trainable_variables
    model = load("tiny", pooling="avg", trainable=False)
    assert not model.trainable_variables
    before = [np.asarray(weight) for weight in model.weights]
    model(tiny_images, training=True)
    for old, new in zip(before, model.weights, strict=True):
        np.testing.assert_array_equal(old, new)


def test_half_precision_is_the_users_choice(
    tiny_reference: tf.keras.Model, tiny_images: np.ndarray
) -> None:
    tf.keras.mixed_precision.set_global_policy("mixed_bfloat16")
    model = load("tiny")
    assert model.get_layer("block1_3x3_conv").compute_dtype == "bfloat16"
    assert model.get_layer("stem_conv").kernel.dtype == "float32"
    stored = tiny_reference.get_layer("stem_conv").kernel
    np.testing.assert_array_equal(tf.cast(model.get_layer("stem_conv").kernel, "float32"), stored)


def test_random_weights_need_no_file(tiny_zoo: Path, tiny_images: np.ndarray) -> None:
    shutil.rmtree(tiny_zoo / "weights")
    first, second = (load("tiny", weights=None, pooling="avg") for _ in range(2))
    difference = features_of(first, tiny_images) - features_of(second, tiny_images)
    assert np.abs(difference).max() > 1e-3


class TestOwnFile:
    @pytest.fixture(params=["own.safetensors", "own.keras", "own.h5"])
    def own_file(self, request: pytest.FixtureRequest, tmp_path: Path) -> Path:
        model = backbones.ReActNetTiny(
            (24, 24, 3), include_top=False, pooling="avg", estimator="ste", **SETTINGS
        )
        shaken(model, seed=5)
        path = tmp_path / request.param
        if path.suffix == ".safetensors":
            save_packed(model, path)
        else:
            model.save(path)
        return path

    def test_fills_the_network(self, own_file: Path, tiny_images: np.ndarray) -> None:
        wanted = shaken(
            backbones.ReActNetTiny((24, 24, 3), include_top=False, pooling="avg", **SETTINGS), 5
        )
        weights = own_file if own_file.suffix == ".keras" else str(own_file)
        model = load("tiny", weights=weights, pooling="avg")
        close(features_of(model, tiny_images), features_of(wanted, tiny_images))

    def test_by_its_address(
        self, tiny_file: Path, mirrors: Any, tiny_reference: Any, tiny_images: np.ndarray
    ) -> None:
        mirror = mirrors(tiny_file.read_bytes())
        for _ in range(2):
            model = load("tiny", weights=mirror.url("own.safetensors"), pooling="avg")
            close(features_of(model, tiny_images), features_of(tiny_reference, tiny_images))
        assert len(mirror.ranges) == 1

    def test_new_top_on_a_packed_file(self, tiny_file: Path) -> None:
        model = load("tiny", weights=tiny_file, include_top=True, classes=3)
        assert np.asarray(model.get_layer("logits").kernel).std() > 0.01

    def test_the_top_of_a_packed_file(self, tmp_path: Path, tiny_images: np.ndarray) -> None:
        model = backbones.ReActNetTiny((24, 24, 3), classes=3, **SETTINGS)
        save_packed(shaken(model), tmp_path / "own.safetensors")
        loaded = load("tiny", tmp_path / "own.safetensors", include_top=True, classes=3)
        close(features_of(loaded, tiny_images), features_of(model, tiny_images))

    def test_of_a_network_that_computes_something_else(self, tmp_path: Path) -> None:
        other = SETTINGS | {"pad_values": 1.0}
        model = backbones.ReActNetTiny((24, 24, 3), include_top=False, **other)
        save_packed(model, tmp_path / "own.safetensors")
        with pytest.raises(UserError, match=r"pad_values=1\.0 in layer 'block1_3x3_conv'"):
            load("tiny", weights=tmp_path / "own.safetensors")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "tyni"}, "Did you mean 'tiny'?"),
        ({"name": "../../etc/passwd"}, "`name` must be one of 'tiny'"),
        ({"classes": 10}, "`classes` needs include_top=True"),
        ({"include_top": True, "classes": 0}, "`classes` must be a whole number"),
        ({"include_top": True}, "tiny has no trained classifier"),
        ({"include_top": True, "weights": None}, "random weights has no trained classifier"),
        ({"pooling": "mean"}, "`pooling` must be one of"),
        ({"input_shape": (24, 24)}, "`input_shape` must be (height, width, channels)"),
        ({"input_shape": (24, 0, 3)}, "`input_shape` must be"),
        ({"input_shape": (24, 24, None)}, "`input_shape` must be"),
        ({"input_shape": 24}, "`input_shape` must be"),
        ({"input_shape": "24x24"}, "`input_shape` must be"),
        ({"weights": "defualt"}, "Did you mean 'default'?"),
        ({"weights": "imagnet"}, "Did you mean 'imagenet'?"),
        ({"weights": "nowhere/burn.safetensors"}, "which does not exist"),
        ({"weights": "imagenet"}, "CC BY-NC 4.0 (no commercial use) and are not part of"),
        (
            {"weights": "imagenet", "accept_license": "CC BY-NC 4.0"},
            "get the file from its authors",
        ),
    ],
)
def test_mistakes_are_one_line(arguments: dict[str, Any], message: str, cache: Path) -> None:
    with pytest.raises(UserError) as caught:
        load(**({"name": "tiny"} | arguments))
    text = str(caught.value)
    assert message in text and "\n" not in text and "Received: " in text
    assert not cache.exists()


def test_a_damaged_shipped_file(tiny_zoo: Path) -> None:
    path = tiny_zoo / "weights" / "tiny.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match="is damaged: reinstall burn_tf"):
        load("tiny")
