"""`Rotate180` turns images and nothing else, and is what mirrored kernels need."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from burn_tf.layers import Rotate180


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "int32"])
@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (1, 1, 1, 1), (2, 6, 1, 3)])
def test_every_pixel_goes_to_the_opposite_place(shape: tuple[int, ...], dtype: str) -> None:
    tf.keras.mixed_precision.set_global_policy("float32" if dtype == "int32" else dtype)
    images = np.arange(np.prod(shape)).reshape(shape) % 100
    turned = Rotate180()(tf.constant(images, dtype))
    assert turned.dtype == dtype
    values = tf.cast(turned, tf.int32).numpy()
    _, height, width, _ = shape
    for row, column in np.ndindex(height, width):
        expected = images[:, height - 1 - row, width - 1 - column]
        np.testing.assert_array_equal(values[:, row, column], expected)


def test_twice_is_nothing_and_gradients_turn_back() -> None:
    images = tf.constant(np.random.default_rng(0).normal(size=(2, 3, 4, 2)), tf.float32)
    layer = Rotate180()
    with tf.GradientTape() as tape:
        tape.watch(images)
        turned = layer(images)
    np.testing.assert_array_equal(layer(turned), images)
    gradient = tape.gradient(turned, images, output_gradients=images)
    np.testing.assert_array_equal(gradient, images[:, ::-1, ::-1])


def test_shapes_with_sizes_that_are_not_known() -> None:
    inputs = tf.keras.Input((None, 7, 3))
    assert Rotate180()(inputs).shape.as_list() == [None, None, 7, 3]
    assert Rotate180().compute_output_shape((None, None, 7, 3)).as_list() == [None, None, 7, 3]


def test_mirrored_kernels_sample_where_torch_does() -> None:
    """On even sizes torch's strided windows begin at 0, 2, .., Keras' `same` ones at 1, 3, .."""
    rng = np.random.default_rng(0)
    image, kernel = rng.normal(size=(1, 8, 6, 2)), rng.normal(size=(3, 3, 2, 4))
    padded = np.pad(image, [(0, 0), (1, 1), (1, 1), (0, 0)])
    torch = np.zeros((1, 4, 3, 4))
    for row, column in np.ndindex(4, 3):
        window = padded[0, 2 * row : 2 * row + 3, 2 * column : 2 * column + 3]
        torch[0, row, column] = np.tensordot(window, kernel, axes=3)
    turned = Rotate180(dtype="float64")(tf.constant(image))
    ours = tf.nn.conv2d(turned, kernel[::-1, ::-1], 2, "SAME").numpy()
    np.testing.assert_allclose(ours[:, ::-1, ::-1], torch, atol=1e-12)
    plain = tf.nn.conv2d(image, kernel, 2, "SAME").numpy()
    assert np.abs(plain - torch).max() > 0.1
