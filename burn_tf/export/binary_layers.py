"""Which layers of a model are binary, and which operator of a file carries each one's weights."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import larq
import numpy as np
import tensorflow as tf

from burn_tf._compat import quantized_scope
from burn_tf.export.flatbuffer import TFLiteGraph, TFLiteOperator, TFLiteTensor
from burn_tf.export.report import LayerReport

BINARY_CONVOLUTION = "LceBconv2d"
_STOCK_CONVOLUTIONS = ("CONV_2D", "FULLY_CONNECTED")
# Number of axes of a filter in the stock runtime, by its type.
_RANKS = {"int8": 4, "float32": 4, "int4": 2}
_WORD = 32
_LARQ_LAYERS = tuple(
    getattr(larq.layers, name) for name in dir(larq.layers) if name.startswith("Quant")
)


def _is_binary(layer: tf.keras.layers.Layer) -> bool:
    """A Larq layer that is binary, or one of ours that has a binary mode."""
    if not isinstance(layer, _LARQ_LAYERS):
        return False
    quantizers = [
        getattr(layer, name, None) for name in ("kernel_quantizer", "depthwise_quantizer")
    ]
    return hasattr(layer, "binarize") or any(getattr(q, "precision", 32) == 1 for q in quantizers)


def binary_layers(model: tf.keras.Model) -> list[tf.keras.layers.Layer]:
    """Every layer of the model that is meant to be binary, also inside nested models, in order."""
    return [layer for layer in model.submodules if _is_binary(layer)]


def _cannot_be_binary(layer: tf.keras.layers.Layer, kernel: np.ndarray | None) -> str | None:
    """The reason why a layer cannot become an LCE operator, or None."""
    if not isinstance(layer, larq.layers.QuantConv2D):
        return f"LCE has no binary operator for {type(layer).__name__}"
    quantizer = layer.kernel_quantizer
    if kernel is None or getattr(quantizer, "precision", 32) != 1:
        mode = getattr(layer, "binarize", None)
        shown = f" (binarize={mode!r}; use binarize='both')" if mode is not None else ""
        return f"its kernel is not binary{shown}"
    magnitudes = np.abs(kernel.reshape(-1, kernel.shape[-1]))
    if not (magnitudes.min(axis=0) > 0).all():
        return "its quantised kernel has zeros, so its values are not of the form +s and -s"
    if not np.allclose(magnitudes.min(axis=0), magnitudes.max(axis=0), rtol=1e-5, atol=0):
        return "its quantised kernel has more than one magnitude in an output channel"
    return None


def quantised_kernel(layer: tf.keras.layers.Layer) -> np.ndarray | None:
    """The kernel [kh, kw, in, out] as the forward pass uses it, or None where it stays real."""
    if not isinstance(layer, larq.layers.QuantConv2D) or layer.kernel_quantizer is None:
        return None
    with quantized_scope(False):
        latent = tf.convert_to_tensor(layer.kernel)
    return np.asarray(tf.cast(layer.kernel_quantizer(latent), tf.float32))


def variable_key(variable: Any) -> int:
    """An identity that a variable and Larq's wrapper around it have in common."""
    return id(getattr(variable, "latent_variable", variable))


def _lce_signs(operator: TFLiteOperator, channels: int) -> _Signs | None:
    """Signs in a bit-packed filter, read as a filter of `channels` input channels."""
    packed = operator.inputs[1]
    if packed is None or packed.dtype != "int32" or len(packed.shape) != 4 or not packed.data:
        return None
    if packed.shape[3] != math.ceil(channels / _WORD):
        return None
    bits = np.unpackbits(np.frombuffer(packed.data, "u1"), bitorder="little")
    negative = bits.reshape(*packed.shape[:3], -1)[..., :channels].astype(bool)
    return _Signs(negative, np.ones(len(negative), bool), packed)


def _stock_signs(filters: TFLiteTensor | None) -> _Signs | None:
    """Signs in a filter [out, h, w, in] of one magnitude in each output channel.

    One in int4 is [out, h * w * in].
    """
    if filters is None or not filters.data or filters.dtype not in _RANKS:
        return None
    if len(filters.shape) != _RANKS[filters.dtype]:
        return None
    values = filters.array()
    magnitudes = np.abs(values.reshape(len(values), -1).astype(np.float64))
    largest = magnitudes.max(axis=1)
    if not np.allclose(magnitudes, largest[:, None], rtol=1e-5, atol=0):
        return None
    return _Signs(values < 0, largest > 0, filters)


@dataclasses.dataclass(frozen=True)
class _Signs:
    """Where a filter [out, h, w, in] or [out, h * w * in] is negative, and the tensor that says so.

    A channel whose scale is 0 has no signs left in some files: it is not `known`.
    """

    negative: np.ndarray
    known: np.ndarray
    tensor: TFLiteTensor

    def are_those_of(self, kernel: np.ndarray) -> bool:
        """Whether they are a kernel's [h, w, in, out], but for channels that are flipped whole.

        A converter may move the sign of a channel's scale into its weights.
        """
        wanted = kernel.transpose(3, 0, 1, 2) < 0
        if self.tensor.dtype == "int4":
            wanted = wanted.reshape(len(wanted), -1)
        if wanted.shape != self.negative.shape:
            return False
        flipped = (wanted ^ self.negative).reshape(len(wanted), -1)[self.known]
        return bool((flipped == flipped[:, :1]).all())


def _macs(kernel: np.ndarray, pixels: tuple[int, ...]) -> int:
    return int(np.prod(pixels, dtype=np.int64)) * kernel.size


class _Matcher:
    """Hands every operator of a file to at most one layer, by the signs in its filter."""

    def __init__(self, graph: TFLiteGraph, runtime: str) -> None:
        self.names = (BINARY_CONVOLUTION,) if runtime == "lce" else _STOCK_CONVOLUTIONS
        self._operators = [op for name in self.names for op in graph.named(name)]
        # Weights that are stored compactly and turned into floats as the file is loaded.
        restored = {
            op.outputs[0].name: op.inputs[0] for op in graph.named("DEQUANTIZE") if op.outputs[0]
        }
        self._stock = [
            None if runtime == "lce" else _stock_signs(_stored(op.inputs[1], restored))
            for op in self._operators
        ]
        self._packed = runtime == "lce"

    def take(self, kernel: np.ndarray) -> tuple[TFLiteOperator, _Signs] | None:
        for index, operator in enumerate(self._operators):
            signs = _lce_signs(operator, kernel.shape[2]) if self._packed else self._stock[index]
            if signs is not None and signs.are_those_of(kernel):
                del self._stock[index]
                return self._operators.pop(index), signs
        return None


def _stored(
    filters: TFLiteTensor | None, restored: dict[str, TFLiteTensor | None]
) -> TFLiteTensor | None:
    if filters is None or filters.data:
        return filters
    return restored.get(filters.name)


def _report(layer: tf.keras.layers.Layer, matcher: _Matcher) -> LayerReport:
    kernel = quantised_kernel(layer)
    reason = _cannot_be_binary(layer, kernel)
    if reason is not None or kernel is None:
        return LayerReport(layer.name, False, reason or "", 0, 0)
    found = matcher.take(kernel)
    if found is None:
        return LayerReport(
            layer.name,
            False,
            f"no {' or '.join(matcher.names)} in the file has its signs: its input must be a sign "
            "(RSign with binarize=True, or an input_quantizer)",
            0,
            0,
        )
    operator, signs = found
    output = operator.outputs[0]
    pixels = output.shape[1:3] if output is not None else ()
    weights = "" if operator.name == BINARY_CONVOLUTION else f", {signs.tensor.dtype} weights"
    return LayerReport(
        layer.name,
        True,
        f"{operator.name}{weights}",
        _macs(kernel, pixels),
        len(signs.tensor.data),
    )


def match_layers(
    model: tf.keras.Model, graph: TFLiteGraph, runtime: str = "lce"
) -> tuple[LayerReport, ...]:
    """One report per binary layer: whether an operator with exactly its signs is in the file.

    Names are of no use for this: the converter shortens and merges them. The filters' signs are,
    because they differ from layer to layer. They are compared up to a flip of an output channel.

    Args:
        model: the model that was converted.
        graph: of the file.
        runtime: "lce": operators with bit-packed filters count; "litert": convolutions with one
            magnitude in each output channel.
    """
    matcher = _Matcher(graph, runtime)
    return tuple(_report(layer, matcher) for layer in binary_layers(model))
