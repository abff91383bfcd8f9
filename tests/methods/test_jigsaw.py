"""Pieces of a puzzle: from nine cells, each once, inside its cell."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.methods import jigsaw_pieces

NUMBERS = np.random.default_rng(0).random((2, 3, 9)).astype(np.float32)


def coordinates(batch: int, height: int, width: int) -> np.ndarray:
    """Images whose pixels say where they are: image, row, column."""
    return np.stack(np.meshgrid(*map(np.arange, (batch, height, width)), indexing="ij"), axis=-1)


@pytest.mark.parametrize(("height", "width"), [(32, 32), (30, 17), (6, 6)])
def test_every_cell_once_and_pieces_within(height: int, width: int) -> None:
    images = coordinates(2, height, width)
    pieces = jigsaw_pieces(tf.constant(images), NUMBERS).numpy()
    cell = np.array([height // 3, width // 3])
    assert pieces.shape == (9, 2, *np.round(0.75 * cell).astype(int), 3)
    for image in range(2):
        assert np.all(pieces[:, image, ..., 0] == image), "pieces of an image stay together"
        corners, ends = pieces[:, image, 0, 0, 1:], pieces[:, image, -1, -1, 1:]
        np.testing.assert_array_equal(corners // cell, ends // cell)
        assert len({tuple(place) for place in corners // cell}) == 9
    steps = np.diff(pieces[..., 1], axis=2)
    assert np.all(steps == 1), "pixels of a piece are neighbours"


def test_order_follows_the_numbers() -> None:
    numbers = np.zeros((1, 3, 9), np.float32)
    numbers[0, 0] = [8, 7, 6, 5, 4, 3, 2, 1, 0]
    pieces = jigsaw_pieces(tf.constant(coordinates(1, 9, 9)), numbers, crop=1.0).numpy()
    first = [tuple(piece[0, 0, 0, 1:]) for piece in pieces]
    assert first == [(row, column) for row in (6, 3, 0) for column in (6, 3, 0)]


def test_places_reach_the_whole_cell() -> None:
    images = tf.constant(coordinates(1, 12, 12))
    for value, offset in ((0.0, 0), (0.999999, 1)):
        numbers = np.full((1, 3, 9), value, np.float32)
        numbers[0, 0] = np.arange(9)
        corner = jigsaw_pieces(images, numbers).numpy()[0, 0, 0, 0, 1:]
        np.testing.assert_array_equal(corner, [offset, offset])


def test_refuses_images_too_small() -> None:
    with pytest.raises(UserError, match="at least 6 pixels"):
        jigsaw_pieces(tf.zeros([2, 5, 32, 3]), NUMBERS)
