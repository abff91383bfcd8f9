"""The binary kernels of a model: their signs, their scales, and one bit for each weight."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf._compat import quantized_scope
from burn_tf.convert.named_weights import named_weights
from burn_tf.export.binary_layers import binary_layers, quantised_kernel, variable_key

# Far above the rounding of a mean of equal float32 values (1.3e-4 was seen), far below a change.
_SAME_SCALE = 1e-3


@dataclasses.dataclass(frozen=True)
class BinaryKernel:
    """One binary kernel: `positive` is bool [kh, kw, in, out], `scale` float32 [out], >= 0."""

    positive: np.ndarray
    scale: np.ndarray

    def latent(self) -> np.ndarray:
        """float32 [kh, kw, in, out]: the scale with the sign of each weight."""
        return np.where(self.positive, self.scale, -self.scale)


def pack_bits(positive: np.ndarray) -> np.ndarray:
    """uint8 [ceil(n / 8)]: the n truth values in C order, the first in the lowest bit."""
    return np.packbits(positive.reshape(-1), bitorder="little")


def unpack_bits(bits: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The truth values of `pack_bits`, bool of shape `shape`.

    Raises:
        UserError: `bits` has not the length that `shape` needs.
    """
    count = math.prod(shape)
    if bits.dtype != np.uint8 or bits.shape != (-(-count // 8),):
        raise UserError(
            f"packed weights of shape {shape} must be uint8 [{-(-count // 8)}]. "
            f"Received: {bits.dtype} {bits.shape}"
        )
    return np.unpackbits(bits, count=count, bitorder="little").view(bool).reshape(shape)


def _latent(layer: tf.keras.layers.Layer) -> np.ndarray:
    with quantized_scope(False):
        return np.asarray(tf.cast(tf.convert_to_tensor(layer.kernel), tf.float32))


def _scale(layer: tf.keras.layers.Layer, quantised: np.ndarray) -> np.ndarray:
    """The scale as the forward pass computes it, or as it was stored in an already packed kernel.

    Without the second rule every saving of a loaded model would move the scale by the rounding
    error of a mean of equal values.
    """
    computed = np.abs(quantised).reshape(-1, quantised.shape[-1])
    if not (computed == computed[0]).all():
        raise UserError(
            f"layer {layer.name!r} must have one magnitude per output channel to be packed, "
            "as burn_tf.layers.ScaledSign gives it. Received: several"
        )
    stored = np.abs(_latent(layer)).reshape(computed.shape)
    is_packed = (stored == stored[0]).all(axis=0)
    is_same = np.isclose(stored[0], computed[0], rtol=_SAME_SCALE, atol=0)
    return np.where(is_packed & is_same, stored[0], computed[0])


def _binary_kernel(layer: tf.keras.layers.Layer) -> BinaryKernel:
    quantizer = getattr(layer, "kernel_quantizer", None)
    quantised = quantised_kernel(layer) if getattr(quantizer, "precision", 32) == 1 else None
    if quantised is None:
        mode = getattr(layer, "binarize", None)
        cure = "burn_tf.backbones.set_binarize(model, 'both')"
        shown = f"binarize={mode!r}; {cure} makes it binary" if mode else type(layer).__name__
        raise UserError(
            f"`model` must have binary kernels only in its binary layers, to be packed. "
            f"Received: {layer.name!r} with a real kernel ({shown})"
        )
    if not np.isfinite(quantised).all():
        raise UserError(
            "`model` must have finite weights: go back to an earlier checkpoint. "
            f"Received: NaN or infinity in the kernel of {layer.name!r}"
        )
    return BinaryKernel(quantised >= 0, _scale(layer, quantised))


def find_binary_kernels(model: tf.keras.Model) -> dict[str, BinaryKernel]:
    """Every binary kernel by the name `named_weights` gives it, in the model's order.

    Raises:
        UserError: no binary layer, one whose kernel is real, or a weight that is not finite.
    """
    names = {variable_key(variable): name for name, variable in named_weights(model).items()}
    kernels: dict[str, BinaryKernel] = {}
    for layer in binary_layers(model):
        kernels[names[variable_key(layer.kernel)]] = _binary_kernel(layer)
    if not kernels:
        raise UserError(
            "`model` must have binary layers: burn_tf.layers.BinaryConv2D or a larq.layers one. "
            f"Received: {model.name!r} with none; save it with model.save(..)"
        )
    return kernels


def binary_weights(model: tf.keras.Model) -> dict[str, np.ndarray]:
    """The +1 and -1 that the binary layers of a model multiply with, without their scales.

    Args:
        model: a built functional or sequential model whose binary layers are all binarised.

    Returns:
        {layer name: int8 [kh, kw, in, out]}, in the model's order; a layer inside a nested model
        has the name "outer/inner".

    Raises:
        UserError: no binary layer, or one whose kernel is real.

    Example:
        >>> from burn_tf.backbones import ReActNetTiny
        >>> from burn_tf.convert import binary_weights
        >>> signs = binary_weights(ReActNetTiny())["block1_3x3_conv"]
        >>> signs.shape, sorted(set(signs.ravel().tolist()))
        ((3, 3, 8, 8), [-1, 1])
    """
    signs: dict[str, Any] = {}
    for name, kernel in find_binary_kernels(model).items():
        signs[name.rpartition("/")[0]] = np.where(kernel.positive, np.int8(1), np.int8(-1))
    return signs
