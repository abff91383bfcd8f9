"""Which layers of a model are binary, and which operator of a file carries each one's weights."""

from __future__ import annotations

import math
from typing import Any

import larq
import numpy as np
import tensorflow as tf

from burn_tf._compat import quantized_scope
from burn_tf.export.flatbuffer import TFLiteGraph, TFLiteOperator
from burn_tf.export.report import LayerReport

BINARY_CONVOLUTION = "LceBconv2d"
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


def _same_up_to_sign(negative: np.ndarray) -> bytes:
    # The converter may move the sign of a channel's scale into its weights.
    flat = negative.reshape(len(negative), -1)
    return np.packbits(flat ^ flat[:, :1]).tobytes()


def _layer_key(kernel: np.ndarray) -> tuple[tuple[int, ...], bytes]:
    negative = kernel.transpose(3, 0, 1, 2) < 0
    return negative.shape, _same_up_to_sign(negative)


def _operator_key(operator: TFLiteOperator, channels: int) -> tuple[tuple[int, ...], bytes] | None:
    """Signs of an operator's bit-packed filter, read as a filter of `channels` input channels."""
    packed = operator.inputs[1]
    if packed is None or packed.dtype != "int32" or len(packed.shape) != 4 or not packed.data:
        return None
    if packed.shape[3] != math.ceil(channels / _WORD):
        return None
    bits = np.unpackbits(np.frombuffer(packed.data, "u1"), bitorder="little")
    negative = bits.reshape(*packed.shape[:3], -1)[..., :channels].astype(bool)
    return negative.shape, _same_up_to_sign(negative)


def _macs(kernel: np.ndarray, pixels: tuple[int, ...]) -> int:
    return int(np.prod(pixels, dtype=np.int64)) * kernel.size


class _Matcher:
    """Hands every operator of a file to at most one layer, by the signs in its filter."""

    def __init__(self, graph: TFLiteGraph) -> None:
        self._operators = list(graph.named(BINARY_CONVOLUTION))

    def take(self, kernel: np.ndarray) -> TFLiteOperator | None:
        wanted = _layer_key(kernel)
        for index, operator in enumerate(self._operators):
            if _operator_key(operator, kernel.shape[2]) == wanted:
                return self._operators.pop(index)
        return None


def _report(layer: tf.keras.layers.Layer, matcher: _Matcher) -> LayerReport:
    kernel = quantised_kernel(layer)
    reason = _cannot_be_binary(layer, kernel)
    if reason is not None or kernel is None:
        return LayerReport(layer.name, False, reason or "", 0, 0)
    operator = matcher.take(kernel)
    if operator is None:
        return LayerReport(
            layer.name,
            False,
            f"no {BINARY_CONVOLUTION} in the file has its signs: its input must be a sign (RSign "
            "with binarize=True, or an input_quantizer)",
            0,
            0,
        )
    output, packed = operator.outputs[0], operator.inputs[1]
    pixels = output.shape[1:3] if output is not None else ()
    weights = len(packed.data) if packed is not None else 0
    return LayerReport(layer.name, True, BINARY_CONVOLUTION, _macs(kernel, pixels), weights)


def match_layers(model: tf.keras.Model, graph: TFLiteGraph) -> tuple[LayerReport, ...]:
    """One report per binary layer: whether an operator with exactly its signs is in the file.

    Names are of no use for this: the converter shortens and merges them. The filters' bits are,
    because they differ from layer to layer. Signs are compared up to a flip of an output channel.
    """
    matcher = _Matcher(graph)
    return tuple(_report(layer, matcher) for layer in binary_layers(model))
