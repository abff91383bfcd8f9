"""Pillow reads back the very pixels."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from burn_tf._checks import UserError
from burn_tf.report.png import data_uri, encode_png


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 1), (5, 7, 3), (1, 1, 3)])
def test_pixels_come_back(shape: tuple[int, ...]):
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    with Image.open(io.BytesIO(encode_png(pixels))) as image:
        image.load()
        np.testing.assert_array_equal(np.asarray(image), pixels.squeeze(-1) if shape[-1] == 1
                                      and len(shape) == 3 else pixels)  # fmt: skip


@pytest.mark.parametrize(
    "pixels",
    [np.zeros((4, 4)), np.zeros((4, 4, 4), np.uint8), np.zeros((0, 4), np.uint8)],
)
def test_other_arrays_are_refused(pixels: np.ndarray):
    with pytest.raises(UserError, match=r"`pixels` must be uint8.*Received: "):
        encode_png(pixels)


def test_data_uri_holds_the_file():
    pixels = np.full((2, 2, 3), 9, np.uint8)
    head, _, body = data_uri(pixels).partition(",")
    assert head == "data:image/png;base64"
    assert base64.b64decode(body) == encode_png(pixels)
