"""Binary layers in the stock runtime's operators, at the lowest price that keeps them exact.

A sign costs nothing to store but has no cheap operator: `SIGN` is 0 at 0 and runs outside the fast
kernels. So a binary activation s is held as the bit e = (x + shift < 0), s = 1 - 2e, which three
fast operators compute: ceil(min(relu(-shift - x), 1)). A convolution W of s is one of e,

    W * s = sum(W) - 2 W * e,

with the sum over all taps of the kernel as a bias. Where s is padded with ones e is padded with
zeros, as the operator does it by itself: no separate padding. And bits survive quantisation: with
zero point -128 and scale 1/255 both 0 and 1 are exact in int8, which +1 and -1 are not, so the
runtime's int8 kernels compute these convolutions without an error.

Where s is padded with zeros, 1/2 - e is convolved in place of e: one more operator.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import larq
import numpy as np
import tensorflow as tf

from burn_tf.export.graph import Node
from burn_tf.layers import BinaryConv2D, RSign

_SIGNS = (larq.quantizers.SteSign, larq.quantizers.ApproxSign, larq.quantizers.SwishSign)
Call = Callable[[tf.Tensor], tf.Tensor]
# Called as make_bits(values, node=node).
Step = Callable[..., tf.Tensor]


def step(negative: tf.Tensor) -> tf.Tensor:
    """1 where a value is above 0 and 0 elsewhere, without a comparison."""
    return tf.math.ceil(tf.minimum(tf.nn.relu(negative), 1.0))


def _own_sign(layer: Any) -> bool:
    return isinstance(getattr(layer, "input_quantizer", None), _SIGNS)


def _plain(layer: Any) -> bool:
    return layer.groups == 1 and layer.data_format == "channels_last"


def takes_bits(node: Node) -> bool:
    """Whether a layer is a convolution of signs that another layer computes."""
    layer = node.layer
    if not isinstance(layer, BinaryConv2D) or getattr(layer, "input_quantizer", None) is not None:
        return False
    return _plain(layer) and isinstance(node.inputs[0].layer, RSign) and gives_bits(node.inputs[0])


def gives_bits(node: Node) -> bool:
    """Whether a layer is a sign and all that takes it is a convolution."""
    layer = node.layer
    if not isinstance(layer, RSign) or not layer.binarize or not node.consumers:
        return False
    return all(isinstance(c.layer, BinaryConv2D) and _plain(c.layer) for c in node.consumers)


def takes_values(node: Node) -> bool:
    """Whether a layer of Larq takes the sign of its input by itself and then convolves."""
    layer = node.layer
    return isinstance(layer, larq.layers.QuantConv2D) and _own_sign(layer) and _plain(layer)


def _pads_zeros(layer: Any) -> bool:
    if layer.padding != "same" or tuple(layer.kernel_size) == (1, 1):
        return False
    return bool(layer.pad_values == 0.0)


class _Bits:
    """The call of a convolution of bits, which `make_bits` computes where it is given values.

    A set bit is worth `unit`.
    """

    def __init__(self, layer: Any, unit: float, halves: Call, make_bits: Call | None) -> None:
        kernel = np.asarray(layer.kernel, np.float64)
        self.layer = layer
        self.zeros_around = _pads_zeros(layer)
        whole = np.zeros(kernel.shape[-1]) if self.zeros_around else kernel.sum((0, 1, 2))
        if layer.use_bias:
            whole += np.asarray(layer.bias, np.float64)
        self.bias = whole.astype(np.float32)
        self.half, self.halves, self.make_bits = np.float32(unit / 2), halves, make_bits
        # In the variable itself: in the graph it would be a second constant of that size.
        factor = 2.0 if self.zeros_around else -2.0
        layer.kernel.assign((kernel * factor / unit).astype(np.float32))

    def __call__(self, inputs: tf.Tensor) -> tf.Tensor:
        layer = self.layer
        bits = inputs if self.make_bits is None else self.make_bits(inputs)
        operand = self.halves(self.half - bits) if self.zeros_around else bits
        kernel = getattr(layer.kernel, "latent_variable", layer.kernel)
        y = tf.nn.conv2d(
            operand, kernel, layer.strides, layer.padding.upper(), dilations=layer.dilation_rate
        )
        y = y + self.bias if self.bias.any() else y
        return y if layer.activation is None else layer.activation(y)


def replace_call(layer: Any, call: Callable[..., Any]) -> None:
    """Change what a layer computes in inference.

    Keras looked at the signature of the call that is replaced: it may pass `training`.
    """

    def changed(inputs: Any, *args: Any, training: Any = None, **kwargs: Any) -> Any:
        return call(inputs, *args, **kwargs)

    layer.call = changed


def _as_it_is(values: tf.Tensor, node: Node) -> tf.Tensor:
    return values


def lower_binary_layers(
    nodes: list[Node],
    make_bits: Step,
    unit: Callable[[Node], float] = lambda node: 1.0,
    halves: Step = _as_it_is,
) -> list[Node]:
    """Change the calls of a frozen copy's binary layers; the others stay as they are.

    Args:
        nodes: of `flat_graph`; their kernels are constant, and are changed.
        make_bits: bits of (values, the node that has the sign).
        unit: what a bit of (the node that has the sign) is worth.
        halves: what becomes of 1/2 - bit, in that unit, given it and the node that has the sign.

    Returns:
        The convolutions of bits.
    """
    signs = {
        id(node): node.inputs[0] if takes_bits(node) else node
        for node in nodes
        if takes_bits(node) or takes_values(node)
    }
    for node in nodes:
        if gives_bits(node):
            replace_call(node.layer, functools.partial(make_bits, node=node))
        elif id(node) in signs:
            sign = signs[id(node)]
            operand = functools.partial(halves, node=sign)
            own = functools.partial(make_bits, node=node) if sign is node else None
            replace_call(node.layer, _Bits(node.layer, unit(sign), operand, own))
    return [node for node in nodes if id(node) in signs]


def threshold(node: Node) -> np.ndarray:
    """float32 [channels] or [1]: below it an activation is negative."""
    shift = getattr(node.layer, "shift", None)
    return np.zeros(1, np.float32) if shift is None else -np.asarray(shift, np.float32)


def shifted_step(values: tf.Tensor, node: Node) -> tf.Tensor:
    """The bits of values [B, H, W, C] before a sign: 1 where it is -1."""
    with tf.init_scope():
        limit = threshold(node)
    return step(limit - values)
