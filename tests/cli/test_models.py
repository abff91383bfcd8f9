"""What `--model` may be, and what is said when it is something else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from burn_tf import backbones, convert, layers
from burn_tf._checks import UserError
from burn_tf.cli import models
from burn_tf.evaluation import raw_pixels


@pytest.fixture(scope="module")
def backbone() -> tf.keras.Model:
    images = tf.keras.Input([8, 8, 3])
    binary = layers.BinaryConv2D(4, 3, binarize="both")(layers.RSign()(images))
    return tf.keras.Model(images, tf.keras.layers.GlobalAveragePooling2D()(binary))


@pytest.mark.parametrize("name", ["model.keras", "model.h5", "saved_model"])
def test_every_format_loads_with_its_weights(
    name: str, backbone: tf.keras.Model, tmp_path: Path
) -> None:
    path = tmp_path / name
    backbone.save(path)
    loaded = models.load_model(str(path))
    for ours, theirs in zip(backbone.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_an_untrained_backbone_is_asked_for_by_name() -> None:
    model = models.load_model("untrained:reactnet_tiny", 16)
    assert model.input_shape == (None, 16, 16, 3)
    assert len(model.output_shape) == 2


def test_a_model_of_the_zoo_and_its_untrained_twin() -> None:
    trained = models.load_model("burn_reactnet_a")
    assert trained.input_shape == (None, 32, 32, 3) and len(trained.output_shape) == 2
    assert models.load_model("burn_reactnet_a", 48).input_shape == (None, 48, 48, 3)
    twin = models.load_model("untrained:burn_reactnet_a")
    assert twin.output_shape == trained.output_shape
    kernels = [model.get_layer("stem_conv").get_weights()[0] for model in (trained, twin)]
    assert not np.allclose(*kernels)


def test_a_packed_file(tmp_path: Path) -> None:
    model = backbones.ReActNetTiny((16, 16, 3), include_top=False, pooling="avg")
    convert.save_packed(model, tmp_path / "tiny.safetensors")
    loaded = models.load_model(str(tmp_path / "tiny.safetensors"))
    images = np.random.default_rng(0).normal(size=(2, 16, 16, 3)).astype(np.float32)
    np.testing.assert_allclose(loaded(images), model(images), rtol=1e-3, atol=1e-4)


def test_raw_pixels_are_a_baseline_for_protocols_only() -> None:
    assert models.load_features("raw_pixels") is raw_pixels
    with pytest.raises(UserError, match="does not exist"):
        models.load_model("raw_pixels")


def test_feature_maps_are_pooled(tmp_path: Path) -> None:
    maps = tf.keras.Sequential([tf.keras.Input([4, 4, 3]), tf.keras.layers.ReLU()])
    maps.save(tmp_path / "maps.keras")
    images = np.arange(2 * 4 * 4 * 3, dtype=np.float32).reshape(2, 4, 4, 3)
    pooled = models.load_features(str(tmp_path / "maps.keras"))(images)
    np.testing.assert_allclose(pooled, images.mean(axis=(1, 2)), rtol=1e-6)


def test_input_side() -> None:
    assert models.input_side(raw_pixels) is None
    assert models.input_side(backbones.ReActNetTiny(input_shape=(24, 24, 3))) == 24
    with pytest.raises(UserError, match="square images"):
        models.input_side(tf.keras.Sequential([tf.keras.Input([4, 6, 3]), tf.keras.layers.ReLU()]))
    for inputs in ([tf.keras.Input([7])], [tf.keras.Input([4, 4, 3]), tf.keras.Input([4, 4, 3])]):
        with pytest.raises(UserError, match=r"must take one batch of images \[B, H, W, C\]"):
            models.input_side(tf.keras.Model(inputs, inputs[0]))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("raw_pixel", "Did you mean 'raw_pixels'"),
        ("untraind:resnet18", "Did you mean 'untrained:resnet18'"),
        ("untrained:resnet81", "Did you mean 'resnet18'"),
        ("burn_reactnet_b", "Did you mean 'burn_reactnet_a'"),
        ("missing.keras", "does not exist"),
    ],
)
def test_unknown_names(name: str, expected: str) -> None:
    with pytest.raises(UserError, match=expected):
        models.load_model(name)


@pytest.mark.parametrize(
    "content", [b"", b"not a model", b"PK\x03\x04 broken", b"\x89HDF\r\n\x1a\n broken"]
)
def test_files_that_are_no_model(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    path.write_bytes(content)
    with pytest.raises((UserError, OSError)):
        models.load_model(str(path))


def test_a_folder_that_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not a saved Keras model"):
        models.load_model(str(tmp_path))


def test_a_layer_that_nobody_knows_is_named(tmp_path: Path) -> None:
    class Unknown(tf.keras.layers.Layer):
        def call(self, inputs: tf.Tensor) -> tf.Tensor:
            return inputs

    path = tmp_path / "model.keras"
    tf.keras.Sequential([tf.keras.Input([4]), Unknown()]).save(path)
    with pytest.raises(UserError, match="Unknown"):
        models.load_model(str(path))


def test_the_side_that_a_model_needs() -> None:
    fixed, free = tf.keras.Sequential([tf.keras.Input([8, 8, 3])]), raw_pixels
    assert models.needed_side(fixed, None) == models.needed_side(fixed, 8) == 8
    assert models.needed_side(free, 9) == 9
    with pytest.raises(UserError, match=r"say which with --input_size=PIXELS"):
        models.needed_side(free, None)
    with pytest.raises(UserError, match=r"`image_size` must be 8.*Received: 9"):
        models.needed_side(fixed, 9, "image_size")
