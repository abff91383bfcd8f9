"""Digits and made-up shapes."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from burn_tf._checks import UserError
from burn_tf.data import load_source


def test_digits_are_scikit_learns():
    source = load_source("digits", split="all")
    data = load_digits()
    assert source.array.shape == (1797, 8, 8, 3)
    np.testing.assert_array_equal(source.labels, data.target)
    np.testing.assert_array_equal(source.array[..., 1], np.rint(data.images * 255 / 16))
    assert source.array.max() == 255


def test_digits_are_split_by_class():
    train, test = load_source("digits"), load_source("digits", split="test")
    assert (train.num_images, test.num_images) == (1438, 359)
    shares = np.bincount(test.labels) / np.bincount(load_source("digits", split="all").labels)
    np.testing.assert_allclose(shares, 0.2, atol=0.003)
    assert train.fingerprint != test.fingerprint


def test_synthetic_is_always_the_same():
    first, second = load_source("synthetic:20", "all"), load_source("synthetic:20", "all")
    np.testing.assert_array_equal(first.array, second.array)
    assert first.fingerprint == second.fingerprint
    assert first.array.shape == (20, 32, 32, 3)
    np.testing.assert_array_equal(np.bincount(first.labels), [5, 5, 5, 5])
    assert first.fingerprint != load_source("synthetic:24", "all").fingerprint


@pytest.mark.parametrize("number", ["", "many", "1", "0", "-3", "1000001", 30 * "9", 5000 * "9"])
def test_synthetic_needs_a_number(number):
    with pytest.raises(UserError, match="synthetic:N"):
        load_source(f"synthetic:{number}")
