"""EfficientNet-Lite0 against its table, written out in NumPy, and its published size."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.backbones import EfficientNetLite0, count_macs, end_points
from burn_tf.data.preprocessing import preprocess_input
from tests.backbones.reactnet_reference import Weights, convolve, float64_weights, randomize

# Expansion, kernel size, stride and output channels of each block: Table 1 of the paper.
BLOCKS = [
    (1, 3, 1, 16),
    *[(6, 3, 2, 24), (6, 3, 1, 24)],
    *[(6, 5, 2, 40), (6, 5, 1, 40)],
    *[(6, 3, 2, 80), (6, 3, 1, 80), (6, 3, 1, 80)],
    *[(6, 5, 1, 112)] * 3,
    *[(6, 5, 2, 192), (6, 5, 1, 192), (6, 5, 1, 192), (6, 5, 1, 192)],
    (6, 3, 1, 320),
]


def relu6(x: np.ndarray) -> np.ndarray:
    return np.clip(x, 0, 6)


@dataclasses.dataclass
class Network:
    """By the names of the layers; padding is TensorFlow's, which the network was trained with."""

    weights: Weights

    def norm(self, name: str, x: np.ndarray) -> np.ndarray:
        gamma, beta, mean, variance = self.weights[f"{name}_bn"]
        return (x - mean) / np.sqrt(variance + 1e-3) * gamma + beta

    def conv(self, name: str, x: np.ndarray, stride: int = 1) -> np.ndarray:
        return self.norm(name, convolve(x, self.weights[f"{name}_conv"][0], stride, 0.0))

    def depthwise(self, name: str, x: np.ndarray, stride: int) -> np.ndarray:
        kernel = self.weights[f"{name}_conv"][0]
        # A depthwise convolution is a dense one whose channels do not mix.
        dense = kernel * np.eye(x.shape[-1])
        return self.norm(name, convolve(x, dense, stride, 0.0))

    def block(self, name: str, x: np.ndarray, expansion: int, stride: int) -> np.ndarray:
        y = relu6(self.conv(f"{name}_expand", x)) if expansion > 1 else x
        y = relu6(self.depthwise(f"{name}_depthwise", y, stride))
        y = self.conv(f"{name}_project", y)
        return x + y if x.shape == y.shape else y

    def __call__(self, images: np.ndarray) -> np.ndarray:
        x = relu6(self.conv("stem", images, 2))
        for index, (expansion, _, stride, _) in enumerate(BLOCKS, start=1):
            x = self.block(f"block{index}", x, expansion, stride)
        x = relu6(self.conv("head", x)).mean(axis=(1, 2))
        kernel, bias = self.weights["logits"]
        return x @ kernel + bias


@pytest.fixture(scope="module")
def full() -> tf.keras.Model:
    """At 224 px with its top; tests must not change it."""
    return EfficientNetLite0((224, 224, 3))


@pytest.mark.parametrize("size", [(32, 32), pytest.param((37, 64), marks=pytest.mark.slow)])
def test_follows_the_table(size: tuple[int, int]) -> None:
    tf.keras.mixed_precision.set_global_policy("float64")
    model = EfficientNetLite0((*size, 3), width=0.25, classes=5)
    randomize(model)
    # Steep enough for the images to be seen at the end.
    for layer in model.layers:
        if layer.name.endswith("_conv"):
            (kernel,) = layer.get_weights()
            depthwise = isinstance(layer, tf.keras.layers.DepthwiseConv2D)
            layer.set_weights([kernel * (kernel.shape[2] ** 0.5 if depthwise else 2)])
    images = np.random.default_rng(0).normal(size=(2, *size, 3)).astype(np.float32)
    expected = Network(float64_weights(model))(images.astype(np.float64))
    assert np.ptp(expected, axis=0).max() > 1e-3, "the images must matter"
    np.testing.assert_allclose(model(images).numpy(), expected, rtol=1e-9, atol=1e-9)


def test_kernels_and_channels_of_every_block(full: tf.keras.Model) -> None:
    inputs = 32
    for index, (expansion, size, stride, outputs) in enumerate(BLOCKS, start=1):
        depthwise = full.get_layer(f"block{index}_depthwise_conv")
        wide = inputs * expansion
        assert depthwise.weights[0].shape == (size, size, wide, 1)
        assert depthwise.strides == (stride, stride)
        project = full.get_layer(f"block{index}_project_conv").kernel
        assert project.shape == (1, 1, wide, outputs)
        inputs = outputs


def test_has_the_published_size(full: tf.keras.Model) -> None:
    # What the authors' own implementation counts; their table rounds it to 4.7 million.
    count = sum(int(np.prod(weight.shape)) for weight in full.trainable_weights)
    assert count == 4_652_008
    assert full.get_layer("pool").output_shape == (None, 1280)


def test_work_of_every_kind_of_convolution(full: tf.keras.Model) -> None:
    """Multiply-adds by the table: stem, expansions, depthwise, projections, head, classifier."""
    side, inputs = 112, 32
    macs = side**2 * 27 * 32
    for expansion, size, stride, outputs in BLOCKS:
        wide = expansion * inputs
        macs += side**2 * inputs * wide if expansion > 1 else 0
        side //= stride
        macs += side**2 * wide * (size**2 + outputs)
        inputs = outputs
    macs += side**2 * 320 * 1280 + 1280 * 1000
    assert count_macs(full).floating == macs == 385_187_552


def test_end_points_have_their_stride(full: tf.keras.Model) -> None:
    levels = end_points(full)
    assert set(levels) >= {"P2", "P3", "P4", "P5"}
    for level, name in levels.items():
        assert full.get_layer(name).output_shape[1] == 224 // 2 ** int(level[1:])


@pytest.mark.slow
def test_maps_of_any_size() -> None:
    maps = EfficientNetLite0(width=0.25, include_top=False)
    assert maps.input_shape == (None, None, None, 3)
    assert maps.output_shape == (None, None, None, 320)
    assert maps(np.zeros((1, 65, 32, 3), np.float32)).shape == (1, 3, 1, 320)


def test_options() -> None:
    pooled = EfficientNetLite0((32, 32, 1), width=0.25, include_top=False, pooling="max")
    assert (pooled.input_shape, pooled.output_shape) == ((None, 32, 32, 1), (None, 320))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pooling": "avgg"}, "Did you mean 'avg'"),
        ({"classes": 0}, "`classes` must be"),
        ({"width": 0}, "`width` must be"),
        (
            {"input_shape": (32, 32, 1), "include_preprocessing": True},
            "three channels. Received: 1 channels",
        ),
    ],
)
def test_options_that_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        EfficientNetLite0(**options)


def test_preprocessing_changes_the_normalisation() -> None:
    model = EfficientNetLite0((8, 8, 3), width=0.25, include_top=False, include_preprocessing=True)
    images, layer = model.layers[:2]
    first = tf.keras.Model(images.output, layer.output)
    pixels = np.random.default_rng(0).integers(0, 256, size=(2, 8, 8, 3), dtype=np.uint8)
    own = (pixels.astype(np.float64) - 127) / 128
    np.testing.assert_allclose(first(preprocess_input(pixels)), own, atol=1e-6)


@pytest.mark.slow
def test_weights_fit_with_and_without_preprocessing(tmp_path: Path) -> None:
    plain = EfficientNetLite0((32, 32, 3), width=0.25, classes=3)
    randomize(plain)
    plain.save(tmp_path / "plain.keras")
    wrapped = EfficientNetLite0(
        (32, 32, 3),
        width=0.25,
        classes=3,
        include_preprocessing=True,
        weights=tmp_path / "plain.keras",
    )
    pixels = np.random.default_rng(0).integers(0, 256, size=(2, 32, 32, 3), dtype=np.uint8)
    images = preprocess_input(pixels)
    own = (pixels.astype(np.float32) - 127) / 128
    np.testing.assert_allclose(wrapped(images), plain(own), rtol=1e-4, atol=1e-4)
    wrapped.save(tmp_path / "wrapped.keras")
    again = tf.keras.models.load_model(tmp_path / "wrapped.keras")
    np.testing.assert_array_equal(again(images), wrapped(images))
