"""Zero padding around maps that are smaller than the kernel, which LCE's own operator gets wrong.

Seen with larq-compute-engine 0.16: on a map of which a side is shorter than the kernel's reach, a
`LceBconv2d` with zeros around differs from the convolution by whole units. Around such maps go ones
then, which LCE does right, and what the ones add is subtracted: a constant per pixel and channel.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import larq
import numpy as np
import tensorflow as tf

from burn_tf.export.preparation import float32_values, rebuilt_model
from burn_tf.layers import BinaryConv2D
from burn_tf.layers.convolution import same_padding

_PACKAGE = "burn_tf.export"


@tf.keras.utils.register_keras_serializable(package=_PACKAGE)
class SmallMapConv2D(larq.layers.QuantConv2D):
    """`QuantConv2D` with zeros around, which go to a converter as ones where the map is small.

    Args:
        activation: as in `larq.layers.QuantConv2D`.
        kwargs: the other arguments of that; `same` padding by zeros.
    """

    def __init__(self, *, activation: Any = None, **kwargs: Any) -> None:
        super().__init__(**kwargs | {"padding": "same", "pad_values": 1.0})
        self.last = tf.keras.activations.get(activation)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Images [B, H, W, C] of known sides."""
        sides = inputs.shape[1:3].as_list()
        reach = _reach(self.kernel_size, self.dilation_rate)
        self._is_native_padding = all(
            side is None or side >= edge for side, edge in zip(sides, reach, strict=True)
        )
        outputs = super().call(inputs)
        if not self._is_native_padding:
            with tf.init_scope():
                kernel = np.asarray(self.kernel)
            added = _ones_around(kernel, sides, self.strides, self.dilation_rate)
            # As rows: from a map of that shape the converter would take the constant for a bias.
            rows = tf.reshape(outputs, [-1, added.size]) - added.ravel()
            outputs = tf.reshape(rows, [-1, *added.shape])
        return self.last(outputs)


def _reach(kernel: Sequence[int], dilations: Sequence[int]) -> list[int]:
    return [(edge - 1) * step + 1 for edge, step in zip(kernel, dilations, strict=True)]


def _ones_around(
    kernel: np.ndarray, sides: Sequence[int], strides: Sequence[int], dilations: Sequence[int]
) -> np.ndarray:
    """What a border of ones adds to a `same` convolution, float32 [H', W', channels]."""
    reach = _reach(kernel.shape[:2], dilations)
    borders = [same_padding(*axis) for axis in zip(sides, reach, strides, strict=True)]
    image = np.zeros([1, *sides, kernel.shape[2]], np.float32)
    padded = np.pad(image, [(0, 0), *borders, (0, 0)], constant_values=1.0)
    with tf.init_scope():
        return np.asarray(tf.nn.conv2d(padded, kernel, strides, "VALID", dilations=dilations))[0]


def _is_concerned(layer: Any) -> bool:
    """Whether a layer pads a map with zeros that is small or of unknown size."""
    if not isinstance(layer, larq.layers.QuantConv2D) or layer.padding != "same":
        return False
    reach = _reach(layer.kernel_size, layer.dilation_rate)
    sides = [side or 0 for side in layer.input_shape[1:3]]
    return bool(layer.pad_values == 0.0) and any(a < b for a, b in zip(sides, reach, strict=True))


def _config(layer: Any) -> dict[str, Any]:
    config: dict[str, Any] = layer.get_config()
    if isinstance(layer, BinaryConv2D):
        config |= {"use_bias": False}
        del config["binarize"]
    return config


def with_small_maps(model: tf.keras.Model) -> tf.keras.Model:
    """The model, or a copy in which small maps are padded as LCE can.

    Args:
        model: as `frozen_model` gives it, its binary kernels constant.
    """
    layers = {layer.name: layer for layer in model.submodules if _is_concerned(layer)}
    if not layers:
        return model

    def change(entry: dict[str, Any]) -> dict[str, Any]:
        config = entry.get("config")
        if "class_name" not in entry or not isinstance(config, dict):
            return entry
        layer = layers.get(config.get("name"))
        if layer is None:
            return entry
        name = SmallMapConv2D.__name__
        own = {
            "class_name": name,
            "module": SmallMapConv2D.__module__,
            "registered_name": f"{_PACKAGE}>{name}",
            "config": _config(layer),
        }
        return entry | own

    return rebuilt_model(model, change, float32_values)
