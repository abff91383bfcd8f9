"""Maps smaller than the kernel, padded with zeros: LCE's interpreter against Keras."""

from __future__ import annotations

from typing import Any

import larq
import numpy as np
import pytest
import tensorflow as tf

from burn_tf.export import to_lce, verify
from burn_tf.export.preparation import frozen_model
from burn_tf.export.zero_padding import SmallMapConv2D, with_small_maps
from burn_tf.layers import BinaryConv2D, RSign


def ours(inputs: tf.Tensor, strides: int, pad_values: float) -> tf.Tensor:
    return BinaryConv2D(7, 3, strides=strides, pad_values=pad_values)(RSign()(inputs))


def of_larq(inputs: tf.Tensor, strides: int, pad_values: float, **settings: Any) -> tf.Tensor:
    settings = {
        "input_quantizer": "ste_sign",
        "kernel_quantizer": "ste_sign",
        "kernel_constraint": "weight_clip",
    } | settings
    layer = larq.layers.QuantConv2D(
        7, 3, strides=strides, padding="same", pad_values=pad_values, **settings
    )
    return layer(inputs)


def model_of(size: tuple[int | None, int | None], layer: Any, *args: Any, **kwargs: Any) -> Any:
    inputs = tf.keras.Input((*size, 40))
    normed = tf.keras.layers.BatchNormalization(epsilon=0.1)(inputs)
    return tf.keras.Model(inputs, layer(normed, *args, **kwargs))


def images(*size: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(3, *size, 40)).astype(np.float32)


def difference(model: tf.keras.Model, x: np.ndarray) -> float:
    exported = to_lce(model, input_size=x.shape[1:3])
    assert exported.report.num_binary == 1
    return verify(exported.flatbuffer, model, x).max_abs_difference


@pytest.mark.parametrize("layer", [ours, of_larq])
@pytest.mark.parametrize("pad_values", [0.0, 1.0])
@pytest.mark.parametrize(("size", "strides"), [((1, 1), 1), ((2, 5), 2), ((2, 2), 1), ((3, 3), 1)])
def test_agrees_with_keras(
    layer: Any, pad_values: float, size: tuple[int, int], strides: int, shaken: Any
) -> None:
    model = shaken(model_of(size, layer, strides, pad_values))
    assert difference(model, images(*size)) < 1e-4


@pytest.mark.parametrize(
    "settings", [{"activation": "relu"}, {"use_bias": False}, {"dilation_rate": 2}]
)
def test_settings_of_larq_layers(settings: dict[str, Any], shaken: Any) -> None:
    model = shaken(model_of((3, 2), of_larq, 1, 0.0, **settings))
    assert difference(model, images(3, 2)) < 1e-4


def test_a_size_that_is_known_at_conversion_only(shaken: Any) -> None:
    model = shaken(model_of((None, None), ours, 1, 0.0))
    assert difference(model, images(2, 2)) < 1e-4
    assert difference(model, images(6, 5)) < 1e-4


def test_larger_maps_keep_their_layers() -> None:
    model = frozen_model(model_of((3, 3), ours, 1, 0.0))
    assert with_small_maps(model) is model
    ones = frozen_model(model_of((2, 2), ours, 1, 1.0))
    assert with_small_maps(ones) is ones
    small = with_small_maps(frozen_model(model_of((2, 3), ours, 1, 0.0)))
    assert [type(layer) for layer in small.layers if "conv" in layer.name] == [SmallMapConv2D]
