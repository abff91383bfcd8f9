"""Feature maps on a small grid, against cells written out."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from burn_tf.evaluation import raw_pixels
from burn_tf.evaluation.spatial_features import grid_features


def pooled(shape):
    images = tf.keras.Input(shape)
    return tf.keras.Model(images, tf.keras.layers.GlobalAveragePooling2D()(images), name="net")


@pytest.mark.parametrize(
    ("height", "width", "side"), [(7, 7, 2), (4, 4, 2), (5, 8, 3), (7, 7, 1), (2, 3, 2)]
)
@pytest.mark.parametrize("fixed", [True, False])
def test_cells(height, width, side, fixed):
    maps = np.random.default_rng(0).normal(size=(2, height, width, 5)).astype(np.float32)
    shape = (height, width, 5) if fixed else (None, None, 5)
    network, words = grid_features(pooled(shape), values=side * side * 5)
    assert words == f"last feature map averaged to {side} x {side}"
    cells = []
    for i in range(side):
        for j in range(side):
            rows = slice(int(np.floor(i * height / side)), int(np.ceil((i + 1) * height / side)))
            columns = slice(int(np.floor(j * width / side)), int(np.ceil((j + 1) * width / side)))
            cells.append(maps[:, rows, columns].mean(axis=(1, 2)))
    found = np.asarray(network(maps))
    np.testing.assert_allclose(found, np.concatenate(cells, axis=1), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("channels", "values", "side"), [(1024, 4096, 2), (2048, 4096, 1), (512, 4096, 2), (8, 3, 1)]
)
def test_largest_square_grid_that_fits(channels, values, side):
    network, words = grid_features(pooled((7, 7, channels)), values)
    assert words == f"last feature map averaged to {side} x {side}"
    assert isinstance(network, tf.keras.Model)
    found = network(tf.zeros([1, 7, 7, channels]))
    assert found.shape[-1] == side * side * channels


def test_a_map_has_no_more_cells_than_pixels():
    _, words = grid_features(pooled((1, 3, 4)), 4096)
    assert words == "last feature map averaged to 1 x 1"


def test_what_shows_no_map_is_taken_as_it_is():
    dense = tf.keras.Sequential([tf.keras.layers.Flatten(input_shape=(4, 4, 3))])
    for network in (raw_pixels, dense):
        assert grid_features(network) == (network, "the output as it is")


def test_weights_are_shared_and_the_network_has_a_key():
    from burn_tf.backbones.identity import feature_key

    images = tf.keras.Input((4, 4, 3))
    maps = tf.keras.layers.Conv2D(2, 3, padding="same")(images)
    network = tf.keras.Model(images, tf.keras.layers.GlobalAveragePooling2D()(maps))
    grid, _ = grid_features(network, 8)
    assert isinstance(grid, tf.keras.Model)
    assert grid.weights[0] is network.weights[0]
    assert feature_key(grid, {}) not in (None, feature_key(network, {}))
