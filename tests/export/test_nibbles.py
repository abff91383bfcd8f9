"""Convolutions as products of int4 matrices: the same values, in fewer bytes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from burn_tf.export.compaction import compact
from burn_tf.export.flatbuffer import read_flatbuffer
from burn_tf.export.nibbles import nibbles
from burn_tf.export.runtime import load_runtime


def test_two_values_in_a_byte_the_first_in_the_low_half() -> None:
    assert nibbles(np.array([1, -1, 7, -8], np.int8)) == bytes([0xF1, 0x87])


def kernel(*shape: int) -> np.ndarray:
    """[height, width, in, out] of +s and -s, a scale s for each output."""
    rng = np.random.default_rng(1)
    return (np.sign(rng.normal(size=shape)) * rng.uniform(0.1, 1, shape[-1])).astype(np.float32)


def float_file(weights: np.ndarray, size: tuple[int, int], **settings: Any) -> bytes:
    """A convolution of bits, with a bias and a ReLU."""

    def forward(images: tf.Tensor) -> tf.Tensor:
        bits = tf.math.ceil(tf.minimum(tf.nn.relu(images), 1.0))
        return tf.nn.relu(tf.nn.conv2d(bits, weights, **settings) + 0.5)

    signature = tf.TensorSpec([1, *size, weights.shape[2]], tf.float32)
    concrete = tf.function(forward, [signature]).get_concrete_function()
    return bytes(tf.lite.TFLiteConverter.from_concrete_functions([concrete]).convert())


def images(count: int, *shape: int) -> np.ndarray:
    values = np.random.default_rng(2).normal(size=(count, *shape)).astype(np.float32)
    values[0], values[1] = -1.0, 1.0  # bits all alike: a range of one value
    return values


@pytest.mark.parametrize(
    ("shape", "size", "settings"),
    [
        ((3, 3, 8, 16), (7, 7), {"strides": 1, "padding": "SAME"}),
        ((3, 3, 8, 16), (7, 6), {"strides": 2, "padding": "SAME"}),
        ((3, 3, 8, 16), (6, 9), {"strides": (2, 1), "padding": "VALID"}),
        ((2, 5, 6, 4), (4, 3), {"strides": 1, "padding": "SAME"}),
        ((1, 1, 8, 16), (5, 4), {"strides": 1, "padding": "SAME"}),
        ((1, 1, 8, 16), (5, 4), {"strides": 2, "padding": "VALID"}),
        ((3, 3, 8, 16), (1, 1), {"strides": 1, "padding": "SAME"}),
    ],
)
def test_outputs_stay(shape: Any, size: tuple[int, int], settings: dict[str, Any]) -> None:
    before = float_file(kernel(*shape), size, **settings)
    after = compact(before, int4_from=1)
    graph = read_flatbuffer(after)
    (product,) = graph.named("FULLY_CONNECTED")
    assert "CONV_2D" not in graph.counts() and product.inputs[1].dtype == "int4"
    given = images(6, *size, shape[2])
    expected = load_runtime(before).run(given)
    assert expected.std() > 0.1
    found = load_runtime(after)
    np.testing.assert_allclose(found.run(given), expected, rtol=1e-5, atol=1e-5)
    assert found.output_shape == load_runtime(before).output_shape


def test_the_matrix_holds_the_signs_in_half_a_byte() -> None:
    weights = kernel(3, 3, 8, 16)
    file = compact(float_file(weights, (7, 7), strides=1, padding="SAME"), int4_from=1152)
    matrix = read_flatbuffer(file).named("FULLY_CONNECTED")[0].inputs[1]
    assert matrix.shape == (16, 72) and len(matrix.data) == 16 * 72 // 2
    np.testing.assert_array_equal(
        matrix.array(), np.sign(weights).transpose(3, 0, 1, 2).reshape(16, 72)
    )


@pytest.mark.parametrize("resolver", ["BUILTIN_WITHOUT_DEFAULT_DELEGATES", "AUTO"])
@pytest.mark.parametrize("package", ["tf.lite", "ai_edge_litert"])
@pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated")
def test_every_interpreter_agrees(package: str, resolver: str) -> None:
    """TensorFlow's own and LiteRT's, with fast kernels and without."""
    from ai_edge_litert import interpreter as litert

    module = litert if package == "ai_edge_litert" else tf.lite.experimental
    kind = litert.Interpreter if package == "ai_edge_litert" else tf.lite.Interpreter
    before = float_file(kernel(3, 3, 8, 16), (7, 7), strides=1, padding="SAME")
    given = images(3, 7, 7, 8)
    loaded = kind(
        model_content=compact(before, int4_from=1),
        experimental_op_resolver_type=getattr(module.OpResolverType, resolver),
    )
    loaded.allocate_tensors()
    expected = load_runtime(before).run(given)
    for image, wanted in zip(given, expected, strict=True):
        loaded.set_tensor(loaded.get_input_details()[0]["index"], image[None])
        loaded.invoke()
        found = loaded.get_tensor(loaded.get_output_details()[0]["index"])[0]
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("shape", "settings", "int4_from"),
    [
        ((3, 3, 8, 16), {"strides": 1, "padding": "SAME"}, 1153),
        ((3, 3, 8, 16), {"strides": 1, "padding": "SAME"}, None),
        ((3, 3, 8, 16), {"strides": 1, "padding": "SAME", "dilations": 2}, 1),
        ((3, 3, 4, 16), {"strides": 1, "padding": "SAME"}, 1),
        ((3, 3, 3, 16), {"strides": 1, "padding": "SAME"}, 1),
    ],
    ids=["too small", "off", "dilated", "groups", "odd rows"],
)
def test_other_convolutions_stay(shape: Any, settings: dict[str, Any], int4_from: Any) -> None:
    channels = 8 if shape[2] == 4 else shape[2]
    weights = kernel(*shape)

    def forward(given: tf.Tensor) -> tf.Tensor:
        bits = tf.math.ceil(tf.minimum(tf.nn.relu(given), 1.0))
        return tf.nn.conv2d(bits, weights, **settings)

    signature = tf.TensorSpec([1, 7, 7, channels], tf.float32)
    concrete = tf.function(forward, [signature]).get_concrete_function()
    before = bytes(tf.lite.TFLiteConverter.from_concrete_functions([concrete]).convert())
    after = compact(before, int4_from)
    assert "FULLY_CONNECTED" not in read_flatbuffer(after).counts()
    assert read_flatbuffer(after).named("CONV_2D")[0].inputs[1].dtype == "int8"
    given = images(3, 7, 7, channels)
    np.testing.assert_allclose(
        load_runtime(after).run(given), load_runtime(before).run(given), rtol=1e-5, atol=1e-5
    )
