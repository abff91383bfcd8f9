"""Kernels of two values in one byte per weight."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from burn_tf.export.compaction import compact, two_valued
from burn_tf.export.flatbuffer import read_flatbuffer
from burn_tf.export.runtime import load_runtime
from burn_tf.export.schema import packed, schema, unpacked


def test_signs_times_scales_is_the_kernel() -> None:
    rng = np.random.default_rng(0)
    scales = rng.uniform(0.1, 2.0, 6).astype(np.float32)
    kernel = np.sign(rng.normal(size=(6, 3, 3, 5))).astype(np.float32) * scales[:, None, None, None]
    signs, found = two_valued(kernel) or (None, None)
    assert signs.dtype == np.int8
    np.testing.assert_array_equal(signs * found[:, None, None, None], kernel)


def test_a_channel_of_zeros_stays_one() -> None:
    kernel = np.array([[0.0, 0.0], [0.5, -0.5]], np.float32)
    signs, scales = two_valued(kernel) or (None, None)
    np.testing.assert_array_equal(signs * scales[:, None], kernel)


@pytest.mark.parametrize(
    "kernel",
    [[[0.5, -0.5], [0.5, 0.4]], [[0.5, 0.0], [0.5, 0.5]], [[0.0, 0.0]], [[np.inf, np.inf]]],
)
def test_other_kernels_are_left(kernel: Any) -> None:
    assert two_valued(np.array(kernel, np.float32)) is None


def float_file(bits: bool, kernel: np.ndarray) -> bytes:
    """A convolution whose input is made of bits, or not."""

    def forward(images: tf.Tensor) -> tf.Tensor:
        values = tf.math.ceil(tf.minimum(tf.nn.relu(images), 1.0)) if bits else tf.abs(images)
        return tf.nn.conv2d(values, kernel, 1, "SAME") + 0.5

    signature = tf.TensorSpec([1, 6, 5, 8], tf.float32)
    concrete = tf.function(forward, [signature]).get_concrete_function()
    return bytes(tf.lite.TFLiteConverter.from_concrete_functions([concrete]).convert())


@pytest.fixture(scope="module")
def kernel() -> np.ndarray:
    rng = np.random.default_rng(1)
    return (np.sign(rng.normal(size=(3, 3, 8, 16))) * rng.uniform(0.1, 1, 16)).astype(np.float32)


@pytest.mark.parametrize("bits", [True, False])
def test_outputs_stay_and_the_kernel_is_int8(bits: bool, kernel: np.ndarray) -> None:
    before = float_file(bits, kernel)
    after = compact(before)
    images = np.random.default_rng(2).normal(size=(5, 6, 5, 8)).astype(np.float32)
    images[0], images[1] = -1.0, 1.0  # bits all alike: a range of one value
    expected = load_runtime(before).run(images)
    np.testing.assert_allclose(load_runtime(after).run(images), expected, rtol=1e-5, atol=1e-5)
    graph = read_flatbuffer(after)
    assert graph.counts().get("DEQUANTIZE", 0) == (0 if bits else 1)
    holder = graph.named("CONV_2D" if bits else "DEQUANTIZE")[0]
    stored = holder.inputs[1 if bits else 0]
    assert stored.dtype == "int8" and len(stored.data) == kernel.size
    assert len(after) < len(before) - 2 * kernel.size


def test_other_kernels_keep_their_bytes(kernel: np.ndarray) -> None:
    real = kernel + np.float32(0.01)
    before = read_flatbuffer(float_file(True, real))
    after = read_flatbuffer(compact(float_file(True, real)))
    assert before.counts() == after.counts()
    assert after.named("CONV_2D")[0].inputs[1].dtype == "float32"


def test_numbers_are_aligned(kernel: np.ndarray) -> None:
    """Phones fault, or copy, where a buffer of floats starts at an odd address."""
    content = compact(float_file(True, kernel))
    model = schema().Model.GetRootAs(content, 0)
    starts = [
        model.Buffers(i)._tab.Vector(model.Buffers(i)._tab.Offset(4))
        for i in range(model.BuffersLength())
        if model.Buffers(i).DataLength()
    ]
    assert starts and all(start % 16 == 0 for start in starts)


def test_a_file_unpacked_and_packed_is_the_same_model(kernel: np.ndarray) -> None:
    before = float_file(True, kernel)
    assert read_flatbuffer(packed(unpacked(before))) == read_flatbuffer(before)


@pytest.mark.parametrize("order", [(True, False), (False, True), (False, False), (True, True)])
@pytest.mark.parametrize("int4_from", [None, 1])
def test_a_kernel_that_several_convolutions_have(
    order: tuple[bool, ...], int4_from: int | None, kernel: np.ndarray
) -> None:
    """Of bits and of other values, in any order: one constant in the file before."""

    def forward(images: tf.Tensor) -> list[tf.Tensor]:
        bits = tf.math.ceil(tf.minimum(tf.nn.relu(images), 1.0))
        shared = tf.constant(kernel)
        given = [bits if bit else tf.abs(images) + number for number, bit in enumerate(order)]
        return [tf.nn.conv2d(x, shared, 1 + n, "SAME") for n, x in enumerate(given)]

    signature = tf.TensorSpec([1, 6, 5, 8], tf.float32)
    concrete = tf.function(forward, [signature]).get_concrete_function()
    before = bytes(tf.lite.TFLiteConverter.from_concrete_functions([concrete]).convert())
    assert len(before) < 2 * 4 * kernel.size
    after = compact(before, int4_from)
    images = np.random.default_rng(2).normal(size=(3, 6, 5, 8)).astype(np.float32)
    found, wanted = (load_runtime(file).run_all(images) for file in (after, before))
    for left, right in zip(found, wanted, strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-5, atol=1e-4)
    operators = read_flatbuffer(after).operators
    constants = [t for op in operators for t in op.inputs if t is not None and t.data]
    held = {t.dtype for t in constants if np.prod(t.shape) == kernel.size}
    of_bits = "int4" if int4_from else "int8"
    assert held == {of_bits if bits else "int8" for bits in order}
