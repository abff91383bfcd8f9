"""The authors' ReActNet-A in float64 NumPy, under their tensors' names and torch's conventions.

Strided convolutions pad one pixel on every side, pools drop a last odd row, sign(0) is 0.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from tests.backbones.reactnet_reference import batch_norm
from tests.backbones.test_resnet import convolve

Tensors = dict[str, np.ndarray]
# Copies of the 1x1 convolution and stride, per block.
BLOCKS = [(2, 1), (2, 2), (1, 1), (2, 2), (1, 1), (2, 2), *[(1, 1)] * 5, (2, 2), (1, 1)]


def norm(rng: np.random.Generator, name: str, channels: int) -> Tensors:
    return {
        f"{name}.weight": rng.uniform(0.5, 1.5, channels),
        f"{name}.bias": rng.normal(0, 0.3, channels),
        f"{name}.running_mean": rng.normal(0, 0.3, channels),
        f"{name}.running_var": rng.uniform(0.5, 1.5, channels),
        f"{name}.num_batches_tracked": np.array(7, np.int64),
    }


def kernel(rng: np.random.Generator, outputs: int, inputs: int, edge: int) -> np.ndarray:
    scale = (inputs * edge**2) ** -0.5
    return rng.normal(0, scale, (outputs, inputs, edge, edge))


def _shift(rng: np.random.Generator, channels: int) -> np.ndarray:
    return rng.normal(0, 0.3, (1, channels, 1, 1))


def _block(rng: np.random.Generator, name: str, channels: int, copies: int) -> Tensors:
    wide = channels * copies
    pairs = [("binary_pw", "bn2")]
    if copies == 2:
        pairs = [("binary_pw_down1", "bn2_1"), ("binary_pw_down2", "bn2_2")]
    tensors = {
        f"{name}.move11.bias": _shift(rng, channels),
        f"{name}.binary_3x3.weight": kernel(rng, channels, channels, 3),
        **norm(rng, f"{name}.bn1", channels),
        f"{name}.move12.bias": _shift(rng, channels),
        f"{name}.prelu1.weight": rng.normal(0.25, 0.1, channels),
        f"{name}.move13.bias": _shift(rng, channels),
        f"{name}.move21.bias": _shift(rng, channels),
    }
    for conv, bn in pairs:
        tensors[f"{name}.{conv}.weight"] = kernel(rng, channels, channels, 1)
        tensors |= norm(rng, f"{name}.{bn}", channels)
    return tensors | {
        f"{name}.move22.bias": _shift(rng, wide),
        f"{name}.prelu2.weight": rng.normal(0.25, 0.1, wide),
        f"{name}.move23.bias": _shift(rng, wide),
    }


def linear(rng: np.random.Generator, name: str, inputs: int, outputs: int) -> Tensors:
    return {
        f"{name}.weight": rng.normal(0, inputs**-0.5, (outputs, inputs)),
        f"{name}.bias": rng.normal(0, 0.3, outputs),
    }


def random_tensors(seed: int = 0, stem: int = 8) -> Tensors:
    """Weights of a network `stem / 32` as wide, without anything behind the pooling."""
    rng = np.random.default_rng(seed)
    tensors = {
        "feature.0.conv1.weight": kernel(rng, stem, 3, 3),
        **norm(rng, "feature.0.bn1", stem),
    }
    channels = stem
    for index, (copies, _) in enumerate(BLOCKS, start=1):
        tensors |= _block(rng, f"feature.{index}", channels, copies)
        channels *= copies
    return tensors


def classifier(rng: np.random.Generator, name: str, inputs: int, width: int) -> Tensors:
    """BURN's classifier: fc0, bn0, ReLU, fc1."""
    return {
        **linear(rng, f"{name}.fc0", inputs, width),
        **norm(rng, f"{name}.bn0", width),
        **linear(rng, f"{name}.fc1", width, width),
    }


def saved(tensors: Tensors) -> Tensors:
    """As a checkpoint keeps them: float32, counters whole."""
    return {
        name: value if value.dtype == np.int64 else value.astype(np.float32)
        for name, value in tensors.items()
    }


def flattened(tensors: Tensors) -> Tensors:
    """Binary kernels as step 2 of ReActNet saves them: columns under `.weights`."""
    return {
        (f"{name}s" if ".binary_" in name else name): (
            value.reshape(-1, 1) if ".binary_" in name else value
        )
        for name, value in tensors.items()
    }


@dataclasses.dataclass
class Network:
    """The forward pass; `outputs` keeps what every block gave."""

    tensors: Tensors
    binary_weights: bool
    outputs: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)

    def _get(self, name: str) -> np.ndarray:
        return np.asarray(self.tensors[name], np.float64)

    def _conv(self, name: str, x: np.ndarray, stride: int, binary: bool) -> np.ndarray:
        kernel = self._get(f"{name}.weight").transpose(2, 3, 1, 0)
        if binary:
            kernel = np.sign(kernel) * np.abs(kernel).mean(axis=(0, 1, 2))
        return convolve(x, kernel, stride)

    def norm(self, name: str, x: np.ndarray) -> np.ndarray:
        names = ("weight", "bias", "running_mean", "running_var")
        return batch_norm(x, [self._get(f"{name}.{part}") for part in names])

    def _shifted(self, name: str, x: np.ndarray) -> np.ndarray:
        return x + self._get(f"{name}.bias").reshape(-1)

    def _act(self, block: str, number: int, x: np.ndarray) -> np.ndarray:
        x = self._shifted(f"{block}.move{number}2", x)
        x = np.where(x > 0, x, self._get(f"{block}.prelu{number}.weight") * x)
        return self._shifted(f"{block}.move{number}3", x)

    def _block(self, block: str, x: np.ndarray, copies: int, stride: int) -> np.ndarray:
        signs = np.sign(self._shifted(f"{block}.move11", x))
        y = self._conv(f"{block}.binary_3x3", signs, stride, self.binary_weights)
        x = average_pool(x) if stride == 2 else x
        x = self._act(block, 1, self.norm(f"{block}.bn1", y) + x)
        signs = np.sign(self._shifted(f"{block}.move21", x))
        pairs = [("binary_pw", "bn2"), ("binary_pw_down1", "bn2_1"), ("binary_pw_down2", "bn2_2")]
        parts = [
            self.norm(f"{block}.{norm}", self._pointwise(f"{block}.{conv}", signs)) + x
            for conv, norm in (pairs[:1] if copies == 1 else pairs[1:])
        ]
        return self._act(block, 2, np.concatenate(parts, axis=-1))

    def _pointwise(self, name: str, signs: np.ndarray) -> np.ndarray:
        return self._conv(name, signs, 1, self.binary_weights)

    def linear(self, name: str, x: np.ndarray) -> np.ndarray:
        return x @ self._get(f"{name}.weight").T + self._get(f"{name}.bias")

    def classifier(self, name: str, x: np.ndarray) -> np.ndarray:
        hidden = self.norm(f"{name}.bn0", self.linear(f"{name}.fc0", x))
        return self.linear(f"{name}.fc1", np.maximum(hidden, 0))

    def __call__(self, images: np.ndarray) -> np.ndarray:
        x = self._conv("feature.0.conv1", np.asarray(images, np.float64), 2, False)
        x = self.outputs["feature_0"] = self.norm("feature.0.bn1", x)
        for index, (copies, stride) in enumerate(BLOCKS, start=1):
            x = self._block(f"feature.{index}", x, copies, stride)
            self.outputs[f"feature_{index}"] = x
        return x.mean(axis=(1, 2))


def average_pool(x: np.ndarray) -> np.ndarray:
    """torch's AvgPool2d(2, 2): a last odd row or column is left out."""
    height, width = (size // 2 * 2 for size in x.shape[1:3])
    x = x[:, :height, :width]
    return (x[:, ::2, ::2] + x[:, 1::2, ::2] + x[:, ::2, 1::2] + x[:, 1::2, 1::2]) / 4
