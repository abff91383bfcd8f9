"""ReActNet in float64 NumPy, from the paper's formulas alone."""

from __future__ import annotations

import dataclasses

import numpy as np
import tensorflow as tf

EPSILON = 1e-5
Weights = dict[str, list[np.ndarray]]


def sign(values: np.ndarray) -> np.ndarray:
    return np.where(values >= 0, 1.0, -1.0)


def convolve(images: np.ndarray, kernel: np.ndarray, stride: int, pad_value: float) -> np.ndarray:
    """`same` convolution by kernel taps, the smaller half of the padding first."""
    edge, (height, width) = kernel.shape[0], images.shape[1:3]
    outputs = [-(-size // stride) for size in (height, width)]
    totals = [
        max((count - 1) * stride + edge - size, 0)
        for count, size in zip(outputs, (height, width), strict=True)
    ]
    borders = [(0, 0), *[(total // 2, total - total // 2) for total in totals], (0, 0)]
    padded = np.pad(images, borders, constant_values=pad_value)
    result = np.zeros((len(images), *outputs, kernel.shape[-1]))
    for row, column in np.ndindex(edge, edge):
        seen = padded[
            :,
            row : row + (outputs[0] - 1) * stride + 1 : stride,
            column : column + (outputs[1] - 1) * stride + 1 : stride,
        ]
        result += seen @ kernel[row, column]
    return result


def batch_norm(x: np.ndarray, weights: list[np.ndarray]) -> np.ndarray:
    gamma, beta, mean, variance = weights
    return (x - mean) / np.sqrt(variance + EPSILON) * gamma + beta


def average_pool(x: np.ndarray) -> np.ndarray:
    """2x2 means; on an odd size the last row or column is averaged alone."""
    rows = [x[:, i : i + 2].mean(axis=1) for i in range(0, x.shape[1], 2)]
    halved = np.stack(rows, axis=1)
    columns = [halved[:, :, i : i + 2].mean(axis=2) for i in range(0, x.shape[2], 2)]
    return np.stack(columns, axis=2)


def rprelu(x: np.ndarray, weights: list[np.ndarray]) -> np.ndarray:
    shift_in, slope, shift_out = weights
    shifted = x + shift_in
    return np.where(shifted > 0, shifted, slope * shifted) + shift_out


@dataclasses.dataclass
class Network:
    """A network by its weights; `outputs` keeps what every named layer gave."""

    weights: Weights
    binarize: str
    pad_value: float
    stem_stride: int
    blocks: list[tuple[int, int]]  # copies, stride
    outputs: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)

    def keep(self, name: str, value: np.ndarray) -> np.ndarray:
        self.outputs[name] = value
        return value

    def kernel(self, name: str) -> np.ndarray:
        latent = self.weights[name][0]
        if self.binarize != "both":
            return latent
        return sign(latent) * np.abs(latent).mean(axis=(0, 1, 2))

    def rsign(self, name: str, x: np.ndarray) -> np.ndarray:
        shifted = x + self.weights[name][0]
        return self.keep(name, shifted if self.binarize == "none" else sign(shifted))

    def conv_bn(self, name: str, x: np.ndarray, stride: int) -> np.ndarray:
        conv = convolve(x, self.kernel(f"{name}_conv"), stride, self.pad_value)
        self.keep(f"{name}_conv", conv)
        return self.keep(f"{name}_bn", batch_norm(conv, self.weights[f"{name}_bn"]))

    def block(self, name: str, x: np.ndarray, copies: int, stride: int) -> np.ndarray:
        y = self.conv_bn(f"{name}_3x3", self.rsign(f"{name}_sign_1", x), stride)
        a = y + (average_pool(x) if stride == 2 else x)
        a = self.keep(f"{name}_act_1", rprelu(a, self.weights[f"{name}_act_1"]))
        signs = self.rsign(f"{name}_sign_2", a)
        parts = [self.conv_bn(f"{name}_1x1{copy}", signs, 1) + a for copy in "ab"[:copies]]
        b = np.concatenate(parts, axis=-1)
        return self.keep(f"{name}_out", rprelu(b, self.weights[f"{name}_out"]))

    def __call__(self, images: np.ndarray) -> np.ndarray:
        x = convolve(images, self.weights["stem_conv"][0], self.stem_stride, 0.0)
        x = self.keep("stem_bn", batch_norm(x, self.weights["stem_bn"]))
        for index, (copies, stride) in enumerate(self.blocks, start=1):
            x = self.block(f"block{index}", x, copies, stride)
        x = self.keep("pool", x.mean(axis=(1, 2)))
        if "embedding" in self.weights:
            kernel, bias = self.weights["embedding"]
            x = self.keep("embedding_relu", np.maximum(x @ kernel + bias, 0))
        kernel, bias = self.weights["logits"]
        return self.keep("logits", x @ kernel + bias)


def randomize(model: tf.keras.Model, seed: int = 0) -> None:
    """Weights with which every shift, slope and statistic matters."""
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        for weight in layer.weights:
            name = weight.name.split(":")[0].split("/")[-1]
            if name in ("moving_variance", "gamma"):
                weight.assign(rng.uniform(0.5, 1.5, size=weight.shape))
            elif name in ("shift", "shift_in", "shift_out", "slope", "beta", "moving_mean", "bias"):
                weight.assign(rng.normal(scale=0.3, size=weight.shape))
            else:
                fan_in = np.prod(weight.shape[:-1])
                weight.assign(rng.normal(scale=fan_in**-0.5, size=weight.shape))


def float64_weights(model: tf.keras.Model) -> Weights:
    return {
        layer.name: [np.asarray(value, np.float64) for value in layer.get_weights()]
        for layer in model.layers
    }
