"""Images as pixels."""

from __future__ import annotations

import numpy as np

from burn_tf.cli.pictures import load_pixels
from burn_tf.data import load_source


def test_images_are_spread_over_the_source() -> None:
    pixels = load_pixels("digits", "test", 16, 5)
    assert pixels.shape == (5, 16, 16, 3) and pixels.dtype == np.uint8
    assert len(np.unique(pixels.reshape(5, -1), axis=0)) == 5
    whole = load_pixels("digits", "test", 16, 10**6)
    assert len(whole) == load_source("digits", split="test").num_images
    np.testing.assert_array_equal(pixels[[0, -1]], whole[[0, -1]])
