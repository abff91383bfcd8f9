"""ResNets against torchvision's layout, written out in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from burn_tf.backbones import ResNet18, ResNet50
from tests.backbones.reactnet_reference import batch_norm, float64_weights, randomize


def convolve(x: np.ndarray, kernel: np.ndarray, stride: int) -> np.ndarray:
    """torch's Conv2d(padding=k // 2): the same border on every side."""
    edge = kernel.shape[0]
    border = edge // 2
    padded = np.pad(x, [(0, 0), (border, border), (border, border), (0, 0)])
    height, width = ((size + 2 * border - edge) // stride + 1 for size in x.shape[1:3])
    result = np.zeros((len(x), height, width, kernel.shape[-1]))
    for row, column in np.ndindex(height, width):
        top, left = row * stride, column * stride
        window = padded[:, top : top + edge, left : left + edge]
        result[:, row, column] = np.einsum("bhwi,hwio->bo", window, kernel)
    return result


def max_pool(x: np.ndarray) -> np.ndarray:
    """torch's MaxPool2d(3, stride=2, padding=1), which pads with minus infinity."""
    padded = np.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)], constant_values=-np.inf)
    height, width = ((size - 1) // 2 + 1 for size in x.shape[1:3])
    result = np.zeros((len(x), height, width, x.shape[-1]))
    for row, column in np.ndindex(height, width):
        window = padded[:, 2 * row : 2 * row + 3, 2 * column : 2 * column + 3]
        result[:, row, column] = window.max(axis=(1, 2))
    return result


class Network:
    def __init__(self, model: tf.keras.Model, depths: list[int], strides_at: list[int]) -> None:
        self.weights = float64_weights(model)
        self.depths = depths
        self.strides_at = strides_at  # stride of the first, second, .. convolution of a block

    def conv_bn(self, name: str, x: np.ndarray, stride: int) -> np.ndarray:
        x = convolve(x, self.weights[f"{name}_conv"][0], stride)
        return batch_norm(x, self.weights[f"{name}_bn"])

    def block(self, name: str, x: np.ndarray, stride: int) -> np.ndarray:
        y = x
        for index, exponent in enumerate(self.strides_at, start=1):
            y = self.conv_bn(f"{name}_{index}", y, stride**exponent)
            if index < len(self.strides_at):
                y = np.maximum(y, 0)
        if f"{name}_downsample_conv" in self.weights:
            x = self.conv_bn(f"{name}_downsample", x, stride)
        return np.maximum(x + y, 0)

    def __call__(self, x: np.ndarray, small_image_stem: bool) -> np.ndarray:
        x = np.maximum(self.conv_bn("stem", x, 1 if small_image_stem else 2), 0)
        x = x if small_image_stem else max_pool(x)
        for stage, depth in enumerate(self.depths, start=1):
            for index in range(depth):
                stride = 2 if index == 0 and stage > 1 else 1
                x = self.block(f"layer{stage}_{index}", x, stride)
        kernel, bias = self.weights["logits"]
        return x.mean(axis=(1, 2)) @ kernel + bias


@pytest.mark.parametrize("small_image_stem", [False, True])
@pytest.mark.parametrize(
    ("builder", "depths", "strides_at", "size"),
    [
        (ResNet18, [2, 2, 2, 2], [1, 0], (32, 37)),
        (ResNet50, [3, 4, 6, 3], [0, 1, 0], (33, 32)),
    ],
)
def test_follows_torchvisions_layout(builder, depths, strides_at, size, small_image_stem):
    tf.keras.mixed_precision.set_global_policy("float64")
    model = builder(width=0.125, classes=5, small_image_stem=small_image_stem)
    randomize(model)
    images = np.random.default_rng(0).normal(size=(2, *size, 3)).astype(np.float32)
    expected = Network(model, depths, strides_at)(images.astype(np.float64), small_image_stem)
    np.testing.assert_allclose(model(images).numpy(), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("builder", "weights", "features"),
    [(ResNet18, 11_689_512, 512), (ResNet50, 25_557_032, 2048)],
)
def test_has_torchvisions_weights(builder, weights, features):
    model = builder()
    assert sum(int(np.prod(weight.shape)) for weight in model.trainable_weights) == weights
    assert model.get_layer("pool").output_shape == (None, features)


def test_options():
    assert ResNet18(include_top=False, width=0.25).output_shape == (None, None, None, 128)
    assert ResNet18(include_top=False, pooling="avg", width=0.4).output_shape == (None, 208)
    assert ResNet50((8, 8, 1), width=0.125, classes=3).output_shape == (None, 3)
    small = ResNet18((32, 32, 3), include_top=False, width=0.125, small_image_stem=True)
    assert small.output_shape == (None, 4, 4, 64)
