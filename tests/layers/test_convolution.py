"""`conv2d_same` against NumPy in float64, and its gradients against TensorFlow's own."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from burn_tf.layers.convolution import conv2d_same, same_padding

# size, kernel, stride: matrix products for everything, for the kernel gradient alone, for nothing.
GEOMETRIES = [
    (1, 3, 1), (1, 3, 2), (2, 3, 1), (2, 3, 2), (3, 3, 2), (4, 3, 2), (2, 1, 1), (1, 1, 1),
    (5, 5, 3),
    (5, 3, 1), (6, 3, 1), (14, 3, 1), (7, 1, 1), (17, 1, 1),
    (15, 3, 1), (7, 3, 2), (8, 3, 2), (9, 1, 2),
]  # fmt: skip


def reference(images: np.ndarray, kernel: np.ndarray, stride: int, pad_value: float) -> np.ndarray:
    """Written out: every output pixel is the sum of one padded window times the kernel."""
    batch, height, _, channels = images.shape
    edge, outputs = kernel.shape[0], -(-height // stride)
    total = max((outputs - 1) * stride + edge - height, 0)
    padded = np.full((batch, height + total, height + total, channels), pad_value)
    start = total // 2
    padded[:, start : start + height, start : start + height] = images
    result = np.zeros((batch, outputs, outputs, kernel.shape[-1]))
    for row in range(outputs):
        for column in range(outputs):
            top, left = row * stride, column * stride
            window = padded[:, top : top + edge, left : left + edge]
            result[:, row, column] = np.einsum("bhwc,hwco->bo", window, kernel)
    return result


def tensors(size: int, edge: int) -> tuple[tf.Tensor, tf.Tensor]:
    rng = np.random.default_rng(size * 10 + edge)
    return tf.constant(rng.normal(size=(3, size, size, 4))), tf.constant(
        rng.normal(size=(edge, edge, 4, 5))
    )


def gradients(function, images: tf.Tensor, kernel: tf.Tensor) -> list[np.ndarray]:
    with tf.GradientTape() as tape:
        tape.watch([images, kernel])
        output = function(images, kernel)
        weights = tf.reshape(tf.range(tf.size(output), dtype=tf.int32) % 7 - 3, tf.shape(output))
        loss = tf.reduce_sum(output * tf.cast(weights, output.dtype))
    return [gradient.numpy() for gradient in tape.gradient(loss, [images, kernel])]


@pytest.mark.parametrize("pad_value", [0.0, 1.0])
@pytest.mark.parametrize(("size", "edge", "stride"), GEOMETRIES)
def test_output_equals_written_out_sum(size, edge, stride, pad_value):
    images, kernel = tensors(size, edge)
    expected = reference(images.numpy(), kernel.numpy(), stride, pad_value)
    actual = conv2d_same(images, kernel, (stride, stride), pad_value)
    np.testing.assert_allclose(actual.numpy(), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("pad_value", [0.0, 1.0])
@pytest.mark.parametrize(("size", "edge", "stride"), GEOMETRIES)
def test_gradients_equal_tensorflows(size, edge, stride, pad_value):
    images, kernel = tensors(size, edge)

    def plain(images, kernel):
        border = same_padding(size, edge, stride)
        padded = tf.pad(images, [(0, 0), border, border, (0, 0)], constant_values=pad_value)
        return tf.nn.conv2d(padded, kernel, stride, "VALID")

    ours = gradients(lambda x, k: conv2d_same(x, k, (stride, stride), pad_value), images, kernel)
    for actual, expected in zip(ours, gradients(plain, images, kernel), strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-11, atol=1e-11)


def test_uneven_maps_kernels_and_strides():
    rng = np.random.default_rng(0)
    for shape, edges, strides in [((2, 6), (1, 3), (1, 3)), ((4, 7), (3, 2), (2, 1))]:
        images = tf.constant(rng.normal(size=(2, *shape, 3)))
        kernel = tf.constant(rng.normal(size=(*edges, 3, 2)))
        expected = tf.nn.conv2d(images, kernel, strides, "SAME")
        np.testing.assert_allclose(conv2d_same(images, kernel, strides), expected, atol=1e-12)
        ours = gradients(lambda x, k: conv2d_same(x, k, strides), images, kernel)  # noqa: B023
        plain = gradients(lambda x, k: tf.nn.conv2d(x, k, strides, "SAME"), images, kernel)  # noqa: B023
        for actual, wanted in zip(ours, plain, strict=True):
            np.testing.assert_allclose(actual, wanted, atol=1e-11)


@pytest.mark.parametrize("pad_value", [0.0, 1.0])
def test_unknown_map_size(pad_value):
    images, kernel = tensors(5, 3)

    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 4], tf.float64)])
    def convolve(images):
        return conv2d_same(images, kernel, (2, 2), pad_value)

    expected = conv2d_same(images, kernel, (2, 2), pad_value)
    np.testing.assert_allclose(convolve(images).numpy(), expected.numpy(), atol=1e-12)


@pytest.mark.parametrize("size", [1, 2, 5, 16])
def test_unknown_batch_size_in_a_graph(size):
    images, kernel = tensors(size, 3)

    @tf.function(input_signature=[tf.TensorSpec([None, size, size, 4], tf.float64)])
    def step(images):
        with tf.GradientTape() as tape:
            tape.watch([images, kernel])
            loss = tf.reduce_sum(conv2d_same(images, kernel, (1, 1), 1.0) ** 2)
        return tape.gradient(loss, [images, kernel])

    with tf.GradientTape() as tape:
        tape.watch([images, kernel])
        loss = tf.reduce_sum(conv2d_same(images, kernel, (1, 1), 1.0) ** 2)
    for actual, expected in zip(step(images), tape.gradient(loss, [images, kernel]), strict=True):
        np.testing.assert_allclose(actual.numpy(), expected.numpy(), rtol=1e-12)


def test_bfloat16_is_exact_for_signs():
    rng = np.random.default_rng(1)
    for size in (1, 2, 6, 16):
        images = np.sign(rng.normal(size=(2, size, size, 8)))
        kernel = np.sign(rng.normal(size=(3, 3, 8, 4)))
        output = conv2d_same(
            tf.constant(images, tf.bfloat16), tf.constant(kernel, tf.bfloat16), (1, 1), 1.0
        )
        # At most 72 = 3 * 3 * 8 in size: every integer up to 256 is a bfloat16.
        expected = reference(images, kernel, 1, 1.0)
        np.testing.assert_array_equal(tf.cast(output, tf.float64).numpy(), expected)
