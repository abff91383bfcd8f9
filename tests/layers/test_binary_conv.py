"""`BinaryConv2D` against a convolution written out in NumPy."""

from __future__ import annotations

import logging

import larq as lq
import numpy as np
import pytest
import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf._compat import quantized_scope
from burn_tf.layers import BinaryConv2D


def convolve(
    images: np.ndarray, kernel: np.ndarray, strides: tuple[int, int], pad_value: float
) -> np.ndarray:
    """Keras' `same`: the smaller half of the padding comes first."""
    size, edges = np.array(images.shape[1:3]), np.array(kernel.shape[:2])
    outputs = -(-size // strides)
    total = np.maximum((outputs - 1) * strides + edges - size, 0)
    before = total // 2
    borders = [(0, 0), *zip(before, total - before, strict=True), (0, 0)]
    padded = np.pad(images, borders, constant_values=pad_value)
    result = np.zeros((len(images), *outputs, kernel.shape[-1]))
    for row, column in np.ndindex(*outputs):
        top, left = row * strides[0], column * strides[1]
        window = padded[:, top : top + edges[0], left : left + edges[1]]
        result[:, row, column] = np.einsum("bhwi,hwio->bo", window, kernel)
    return result


def binary(kernel: np.ndarray) -> np.ndarray:
    return np.where(kernel >= 0, 1, -1) * np.abs(kernel).mean(axis=(0, 1, 2))


def signs(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).choice([-1.0, 1.0], size=shape)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("pad_values", [0.0, 1.0])
@pytest.mark.parametrize("binarize", ["none", "activations", "both"])
@pytest.mark.parametrize(
    ("size", "kernel_size", "strides"),
    [((6, 6), (3, 3), (1, 1)), ((6, 5), (3, 3), (2, 2)), ((5, 7), (1, 1), (1, 1)),
     ((1, 1), (3, 3), (2, 2)), ((7, 4), (3, 1), (2, 1))],
)  # fmt: skip
def test_values(size, kernel_size, strides, binarize, pad_values, training):
    tf.keras.mixed_precision.set_global_policy("float64")
    layer = BinaryConv2D(5, kernel_size, strides, binarize=binarize, pad_values=pad_values)
    images = signs(2, *size, 4)
    actual = layer(images, training=training).numpy()
    latent = layer.get_weights()[0]
    kernel = binary(latent) if binarize == "both" else latent
    expected = convolve(images, kernel, strides, pad_values)
    np.testing.assert_allclose(actual, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("pad_values", [0.0, 1.0])
def test_any_image_size(pad_values):
    layer = BinaryConv2D(3, 3, 2, pad_values=pad_values)
    model = tf.keras.Sequential([tf.keras.Input([None, None, 4]), layer])
    for size in (5, 8):
        images = signs(2, size, size, 4)
        expected = convolve(images, binary(layer.get_weights()[0]), (2, 2), pad_values)
        np.testing.assert_allclose(model(images).numpy(), expected, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(model.predict(images, verbose=0), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("training", [False, True])
def test_kernel_gradient_is_cut_above_one_and_not_scaled(training):
    layer = BinaryConv2D(3, 3)
    images = tf.constant(signs(4, 6, 6, 2), tf.float32)
    layer.build(images.shape)
    latent = np.random.default_rng(1).normal(size=(3, 3, 2, 3)).astype(np.float32)
    layer.set_weights([latent])
    fixed = tf.constant(binary(latent), tf.float32)
    padded = tf.pad(images, [(0, 0), (1, 1), (1, 1), (0, 0)], constant_values=1.0)
    with tf.GradientTape() as tape:
        tape.watch(fixed)
        loss = tf.reduce_sum(tf.nn.conv2d(padded, fixed, 1, "VALID") ** 2)
    expected = tape.gradient(loss, fixed).numpy() * (np.abs(latent) <= 1)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(images, training=training) ** 2)
    actual = tape.gradient(loss, layer.trainable_variables)[0].numpy()
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4)
    assert 0 < (actual == 0).sum() < actual.size


def test_latent_weights_are_saved_and_the_scope_shows_binary_ones():
    layer = BinaryConv2D(4, 3)
    layer.build([None, 8, 8, 8])
    latent = layer.get_weights()[0]
    assert np.unique(np.abs(latent)).size > 200
    with quantized_scope(True):
        np.testing.assert_allclose(layer.get_weights()[0], binary(latent), rtol=1e-5)
        inside = layer(signs(1, 8, 8, 8)).numpy()
    np.testing.assert_array_equal(inside, layer(signs(1, 8, 8, 8)).numpy())
    np.testing.assert_array_equal(layer.get_weights()[0], latent)


@pytest.mark.parametrize("binarize", ["activations", "both"])
def test_mixed_precision_quantises_the_float32_kernel(binarize):
    tf.keras.mixed_precision.set_global_policy("mixed_bfloat16")
    layer = BinaryConv2D(1, 1, binarize=binarize)
    layer.build([None, 1, 1, 2])
    # bfloat16 would round 1.003 to 1, and the mean 1.0055 of the two to 1.0.
    layer.set_weights([np.array([1.003, 1.008]).reshape(1, 1, 2, 1)])
    assert layer.kernel.dtype == tf.float32
    image = tf.constant([[[[1.0, 1.0]]]], tf.bfloat16)
    outputs = layer(image)
    assert outputs.dtype == tf.bfloat16
    kernel = [1.0055, 1.0055] if binarize == "both" else [1.003, 1.008]
    expected = tf.reduce_sum(tf.cast(tf.cast(kernel, tf.bfloat16), tf.float32))
    assert float(outputs[0, 0, 0, 0]) == float(tf.cast(expected, tf.bfloat16))
    assert tf.cast(1.0055, tf.bfloat16) != tf.cast(1.0, tf.bfloat16)


def test_is_a_larq_layer_without_its_warning(caplog):
    with caplog.at_level(logging.WARNING):
        layer = BinaryConv2D(4, 3)
    assert not caplog.records
    assert isinstance(layer, lq.layers.QuantConv2D)
    assert layer.kernel_quantizer.precision == 1
    assert BinaryConv2D(4, 3, binarize="activations").kernel_quantizer is None


def test_refusals():
    with pytest.raises(UserError, match=r"`binarize`.*'both'.*Received: 'bot'"):
        BinaryConv2D(4, 3, binarize="bot")
    with pytest.raises(UserError, match=r"`pad_values`.*Received: 2"):
        BinaryConv2D(4, 3, pad_values=2)
    with pytest.raises(TypeError, match="padding"):
        BinaryConv2D(4, 3, padding="valid")
