"""Integer arithmetic throughout: where a model's values are rounded to eight bits, and to which.

Each value that leaves a layer is marked. On calibration images the marks measure ranges; in the
converted graph they are fake quantisations, which the converter turns into int8 tensors. Signs stay
exact: with both operands on the grid of the values, threshold - value is a whole number of steps,
and in a type whose full range is one step it saturates to one of two values, 0 or 1.
"""

from __future__ import annotations

import functools
import inspect
import itertools
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.export.graph import Node, SharedLayerError
from burn_tf.export.lowering import (
    gives_bits,
    lower_binary_layers,
    replace_call,
    takes_values,
    threshold,
)
from burn_tf.export.pixels import per_channel
from burn_tf.layers import Rotate180, RPReLU, RSign

_L = tf.keras.layers
_STEPS = 255
# Their outputs lie in the range of their input.
_KEEPS_RANGE = (
    _L.AveragePooling2D,
    _L.MaxPooling2D,
    _L.GlobalMaxPooling2D,
    _L.Dropout,
    _L.Flatten,
    _L.Reshape,
    Rotate180,
)
_ASKS_RANGE = (RSign, Rotate180, _L.AveragePooling2D)
_FUSED_ACTIVATIONS = ("linear", "relu", "relu6")
_FIXED_RANGES = {
    "softmax": (0.0, 255 / 256),
    "sigmoid": (0.0, 255 / 256),
    "tanh": (-1.0, 127 / 128),
}
_NORM = _L.BatchNormalization
_BEFORE_NORM = (_L.Conv2D, _L.DepthwiseConv2D)
# The range in which zero point 0 puts +1 and -1 at 127 steps from 0.
_ONES = (-128 / 127, 1.0)
_INPUT = "input"


class Integers:
    """The ranges of a frozen copy's values, and the calls that round to them.

    Each use of a layer has ranges of its own: the heads of a detector run on five maps.

    Args:
        nodes: of `flat_graph`.

    Raises:
        SharedLayerError: a layer with other uses feeds a sign or a pool, or ends in an activation
            that no operator takes in.
    """

    def __init__(self, nodes: list[Node]) -> None:
        self._nodes = nodes
        self._keys = {id(node): f"{index}" for index, node in enumerate(nodes)}
        self._ranges: dict[str, tuple[float, float]] = {}
        self._rounds = False
        self.ends_in_float = any(_in_float(node) for node in nodes)
        uses: dict[int, list[Node]] = {}
        for node in nodes:
            uses.setdefault(id(node.layer), []).append(node)
        self._shared = {id(node) for same in uses.values() if len(same) > 1 for node in same}
        for same in uses.values():
            self._change(same)

    def mark(self, values: tf.Tensor, key: str = _INPUT) -> tf.Tensor:
        """The values, measured during `calibrate` and rounded after it."""
        if self._rounds:
            low, high = self._ranges[key]
            return tf.quantization.fake_quant_with_min_max_vars(values, low, high)
        low, high = self._ranges.get(key, (0.0, 0.0))
        array = np.asarray(values)
        self._ranges[key] = (min(low, float(array.min())), max(high, float(array.max())))
        return values

    def pixels(self, values: tf.Tensor) -> tf.Tensor:
        """Values of 0 to 255, which eight bits hold as they are."""
        return tf.quantization.fake_quant_with_min_max_vars(values, 0.0, 255.0)

    def calibrate(self, model: tf.keras.Model, batches: Iterable[np.ndarray]) -> None:
        """Measure on preprocessed images, then round and compute signs as bits.

        Raises:
            UserError: there is no image.
        """
        count = 0
        for batch in batches:
            model(self.mark(tf.constant(batch)), training=False)
            count += len(batch)
        if not count:
            raise UserError("`calibration` must have at least one image. Received: none")
        # A value that is always 0 needs a range of some width.
        self._ranges = {k: r if r[1] > r[0] else (r[0], 1.0) for k, r in self._ranges.items()}
        self._rounds = True
        for node in lower_binary_layers(self._nodes, self._step, self._grid, self._halves):
            if not _before_norm(node):
                # The call that was marked is gone.
                layer: Any = node.layer
                replace_call(layer, self._marked(layer, layer.call, self._key(node)))

    def _key(self, node: Node) -> str:
        node = self._giver(node)
        return _INPUT if node.layer is None else self._keys[id(node)]

    @staticmethod
    def _giver(node: Node) -> Node:
        """The use of a layer whose range a value has."""
        while node.layer is not None and isinstance(node.layer, _KEEPS_RANGE):
            node = node.inputs[0]
        return node

    def _grid(self, node: Node) -> float:
        """One step of the values that a sign is given."""
        low, high = self._ranges[self._key(node.inputs[0])]
        return (high - low) / _STEPS

    def _step(self, values: tf.Tensor, node: Node) -> tf.Tensor:
        grid = self._grid(node)
        with tf.init_scope():
            steps = np.ceil(threshold(node).astype(np.float64) / grid)
        first = min(0.0, float(steps.min()))
        steps = np.minimum(steps, first + _STEPS)
        quantise = tf.quantization.fake_quant_with_min_max_vars
        limit = tf.constant((steps * grid).astype(np.float32))
        limit = quantise(limit, first * grid, (first + _STEPS) * grid)
        return quantise(tf.nn.relu(limit - values), 0.0, grid)

    def _halves(self, values: tf.Tensor, node: Node) -> tf.Tensor:
        low, high = (end * self._grid(node) / 2 for end in _ONES)
        return tf.quantization.fake_quant_with_min_max_vars(values, low, high)

    def _signs(self, node: Node) -> Callable[[tf.Tensor], tf.Tensor]:
        """+1 and -1, each 127 steps from 0, for layers that cannot take bits."""
        exact = _inference(node.layer)

        def call(values: tf.Tensor) -> tf.Tensor:
            if not self._rounds:
                return exact(values)
            grid = self._grid(node)
            halves = self._halves(grid / 2 - self._step(values, node), node)
            return tf.quantization.fake_quant_with_min_max_vars(halves * (2 / grid), *_ONES)

        return call

    def _change(self, uses: list[Node]) -> None:
        """Mark what leaves the layer at each of its uses, and what is between its operators."""
        layer = uses[0].layer
        calls = [self._call(node) for node in uses]
        if len(calls) > 1:
            # Keras runs the uses of a layer in one order, and each once.
            plain = _inference(layer)
            turns = itertools.cycle([call or plain for call in calls])
            replace_call(layer, lambda *given, **settings: next(turns)(*given, **settings))
        elif calls[0] is not None:
            replace_call(layer, calls[0])

    def _call(self, node: Node) -> Callable[..., Any] | None:
        """What a use of a layer becomes; None: it stays."""
        layer: Any = node.layer
        self._check_shared(node)
        if layer is None or gives_bits(node) or _before_norm(node) or _in_float(node):
            return None
        key = self._key(node)
        if isinstance(layer, _KEEPS_RANGE):
            return self._kept_range(layer, key)
        inner: Callable[..., Any]
        if isinstance(layer, RSign) and layer.binarize:
            return self._signs(node)
        if isinstance(layer, RPReLU):
            inner = self._rprelu(layer, key)
        elif isinstance(layer, _NORM) and not _before_norm(node.inputs[0]):
            inner = _scaled(layer)
        else:
            inner = self._activated(layer, key)
        return self._marked(layer, inner, key)

    def _check_shared(self, node: Node) -> None:
        """What other places ask of a use of a layer cannot depend on the order of its uses."""
        if id(node) in self._shared and not _is_fused(node.layer):
            raise SharedLayerError
        asks = isinstance(node.layer, _ASKS_RANGE) or takes_values(node)
        if asks and id(self._giver(node.inputs[0])) in self._shared:
            raise SharedLayerError

    def _kept_range(self, layer: Any, key: str) -> Callable[..., Any] | None:
        """Turns and pools in the operators that have fast int8 kernels."""
        if isinstance(layer, Rotate180):
            return lambda x: self.mark(x[:, ::-1, ::-1], key)
        if isinstance(layer, _L.AveragePooling2D) and _tiles(layer):
            pool = layer.pool_size
            kernel = np.full((*pool, layer.input_shape[-1], 1), 1 / (pool[0] * pool[1]), np.float32)
            strides = [1, *layer.strides, 1]
            mean = functools.partial(
                tf.nn.depthwise_conv2d, filter=kernel, strides=strides, padding="VALID"
            )
            return lambda x: self.mark(mean(x), key)
        return None

    def _marked(self, layer: Any, call: Callable[..., Any], key: str) -> Callable[..., Any]:
        fixed = _fixed_range(layer)

        def marked(*args: Any, **kwargs: Any) -> Any:
            outputs = call(*args, **kwargs)
            if fixed is not None:
                self._ranges[key] = fixed
                return outputs
            return tf.nest.map_structure(lambda y: self.mark(y, key), outputs)

        return marked

    def _activated(self, layer: Any, key: str) -> Callable[..., Any]:
        """A layer that ends in an activation which no operator takes in gets a mark before it."""
        if not _is_fused(layer):
            activation = layer.activation
            layer.activation = lambda y: activation(self.mark(y, f"{key} before"))
        return _inference(layer)

    def _rprelu(self, layer: RPReLU, key: str) -> Callable[..., tf.Tensor]:
        """x + (1 - slope) relu(-x) in place of PRELU, which has no fast int8 kernel."""
        shift_in, slope, shift_out = (
            np.asarray(v, np.float32) for v in (layer.shift_in, layer.slope, layer.shift_out)
        )
        steep = bool((slope > 1).any())

        def call(inputs: tf.Tensor) -> tf.Tensor:
            x = self.mark(inputs + shift_in, f"{key} shifted") if shift_in.any() else inputs
            bent = self.mark(tf.nn.relu(x * -np.abs(1 - slope)), f"{key} bent")
            if steep:
                bent = self.mark(bent * np.where(slope > 1, -1, 1), f"{key} signed")
            y = x + bent
            return self.mark(y, f"{key} sum") + shift_out if shift_out.any() else y

        return call


def _in_float(node: Node) -> bool:
    """Whether a layer stays in float, behind all others."""
    return bool(getattr(node.layer, "in_float", False))


def _is_fused(layer: Any) -> bool:
    """Whether the layer's operator takes its activation in, or it is one itself."""
    activation: Any = getattr(layer, "activation", None)
    alone = activation is None or isinstance(layer, _L.Activation)
    return alone or activation.__name__ in _FUSED_ACTIVATIONS


def _before_norm(node: Node) -> bool:
    """Whether a batch norm takes a convolution's output in: nothing is rounded in between."""
    if not isinstance(node.layer, _BEFORE_NORM) or len(node.consumers) != 1:
        return False
    linear = node.layer.activation in (None, tf.keras.activations.linear)
    return linear and isinstance(node.consumers[0].layer, _NORM)


def _inference(layer: Any) -> Callable[..., Any]:
    call: Callable[..., Any] = layer.call
    if "training" in inspect.signature(call).parameters:
        return functools.partial(call, training=False)
    return call


def _tiles(layer: Any) -> bool:
    """Whether the windows of a pool cover the map exactly: none counts fewer pixels."""
    sides = layer.input_shape[1:3]
    pool, strides = tuple(layer.pool_size), tuple(layer.strides)
    return pool == strides and all(
        side is not None and side % edge == 0 for side, edge in zip(sides, pool, strict=True)
    )


def _fixed_range(layer: Any) -> tuple[float, float] | None:
    """The range of the outputs where the runtime itself says what their integers mean."""
    activation = getattr(layer, "activation", None)
    name = "softmax" if isinstance(layer, _L.Softmax) else getattr(activation, "__name__", "")
    return _FIXED_RANGES.get(name)


def _scaled(layer: Any) -> Callable[..., tf.Tensor]:
    """A batch norm as one convolution per channel, where no other convolution takes it in."""
    mean, variance = np.asarray(layer.moving_mean), np.asarray(layer.moving_variance)
    scale = 1 / np.sqrt(variance + layer.epsilon)
    scale = scale * np.asarray(layer.gamma) if layer.scale else scale
    offset = (np.asarray(layer.beta) if layer.center else 0.0) - mean * scale
    return per_channel(scale, offset)
