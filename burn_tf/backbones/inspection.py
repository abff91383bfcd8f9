"""What can be read off a backbone: multiply-accumulates and the ends of its resolution levels."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import tensorflow as tf

from burn_tf._checks import UserError

_COARSEST_STRIDE = 32
_FINEST_STRIDE = 4
_END_OF_BLOCK = "_out"


@dataclasses.dataclass(frozen=True)
class MacCount:
    """Multiply-accumulates of one image.

    `binary` counts convolutions of binary activations with binary kernels, `floating` all others
    and the dense layers; `by_layer` maps layer names to their counts.
    """

    binary: int
    floating: int
    by_layer: dict[str, int]


def _layer_macs(layer: tf.keras.layers.Layer) -> int:
    if isinstance(layer, (tf.keras.layers.Conv2D, tf.keras.layers.DepthwiseConv2D)):
        pixels = layer.output_shape[1:3]
        if None in pixels:
            raise UserError(
                f"`model` must have a fixed image size to count the work of {layer.name!r}: "
                f"build it with input_shape=(height, width, 3). Received: {layer.output_shape}"
            )
        # The first weight is the kernel, whatever a depthwise convolution calls it.
        return int(math.prod(pixels) * math.prod(layer.weights[0].shape))
    return math.prod(layer.kernel.shape) if isinstance(layer, tf.keras.layers.Dense) else 0


def count_macs(model: tf.keras.Model) -> MacCount:
    """Count the multiply-accumulates of a model's convolutions and dense layers.

    Args:
        model: functional model with a fixed image size.

    Returns:
        The counts for one image.

    Raises:
        UserError: the image size is not fixed.

    Example:
        >>> from burn_tf.backbones import ReActNetA, count_macs
        >>> round(count_macs(ReActNetA((224, 224, 3))).binary / 1e9, 2)
        4.82
    """
    by_layer = {layer.name: _layer_macs(layer) for layer in model.layers}
    by_layer = {name: count for name, count in by_layer.items() if count}
    binary = sum(
        count
        for name, count in by_layer.items()
        if getattr(model.get_layer(name), "binarize", None) == "both"
    )
    return MacCount(binary, sum(by_layer.values()) - binary, by_layer)


def _stride(config: dict[str, Any]) -> int:
    strides = config.get("strides", 1)
    return int(max(strides)) if isinstance(strides, (tuple, list)) else int(strides or 1)


def _strides_by_layer(model: tf.keras.Model) -> dict[str, int]:
    """Input pixels per output pixel of each layer, following the graph."""
    reached: dict[str, int] = {}
    for entry in model.get_config()["layers"]:
        parents = set(map(str, tf.nest.flatten(entry["inbound_nodes"]))) & set(reached)
        before = max((reached[parent] for parent in parents), default=1)
        reached[entry["name"]] = before * _stride(entry["config"])
    return reached


def end_points(model: tf.keras.Model) -> dict[str, str]:
    """Names of the last block's output at strides 4, 8, 16 and 32, for feature pyramids.

    Args:
        model: a backbone of this package; its blocks end in layers named `.._out`.

    Returns:
        {"P2": layer name, ..., "P5": layer name}, P_n having stride 2^n; levels that the network
        does not reach are left out.

    Example:
        >>> from burn_tf.backbones import ReActNetTiny, end_points
        >>> end_points(ReActNetTiny(stem_strides=2))
        {'P2': 'block3_out', 'P3': 'block4_out'}
    """
    levels: dict[str, str] = {}
    for name, stride in _strides_by_layer(model).items():
        if name.endswith(_END_OF_BLOCK) and _FINEST_STRIDE <= stride <= _COARSEST_STRIDE:
            levels[f"P{stride.bit_length() - 1}"] = name
    return levels
