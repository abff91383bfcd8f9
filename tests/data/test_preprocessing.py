"""Normalisation: literal values and shapes."""

import numpy as np
import pytest

from burn_tf.data import preprocess_input

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def test_literal_values():
    # Black and white after (x - mean) / std with ImageNet's constants.
    black, white = [-2.117904, -2.035714, -1.804444], [2.248908, 2.428571, 2.640000]
    found = preprocess_input(np.array([[[[0, 0, 0], [255, 255, 255]]]], np.uint8)).numpy()
    np.testing.assert_allclose(found[0, 0], [black, white], atol=2e-6)


@pytest.mark.parametrize("dtype", [np.uint8, np.float16, np.float32, np.float64, np.int32])
def test_every_dtype_gives_float32(dtype):
    images = np.full([2, 3, 5, 3], 100, dtype)
    found = preprocess_input(images)
    assert found.dtype.name == "float32"
    wanted = [(100 / 255 - m) / s for m, s in zip(MEAN, STD, strict=True)]
    np.testing.assert_allclose(found, np.broadcast_to(wanted, found.shape), atol=1e-6)
