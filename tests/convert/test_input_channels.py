"""First convolutions for other numbers of channels."""

from __future__ import annotations

import numpy as np
import pytest

from burn_tf._checks import UserError
from burn_tf.convert import adapt_input_channels

KERNEL = np.array([1.0, 2.0, 6.0], np.float32).reshape(1, 1, 3, 1)


@pytest.mark.parametrize(
    ("channels", "expected"),
    [
        (1, [9.0]),
        (2, [4.5, 4.5]),
        (3, [1.0, 2.0, 6.0]),
        (4, [0.75, 1.5, 4.5, 2.25]),
        (6, [0.5, 1.0, 3.0, 1.5, 1.5, 1.5]),
    ],
)
def test_literal_values(channels, expected):
    adapted = adapt_input_channels(KERNEL, channels)
    assert adapted.dtype == np.float32
    assert adapted.shape == (1, 1, channels, 1)
    assert adapted.ravel().tolist() == expected


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 13])
def test_the_sum_over_channels_stays(channels):
    kernel = np.random.default_rng(0).normal(size=(3, 3, 3, 5))
    adapted = adapt_input_channels(kernel, channels)
    np.testing.assert_allclose(adapted.sum(axis=2), kernel.sum(axis=2), atol=1e-12)


def test_grey_to_colour():
    adapted = adapt_input_channels(np.full((1, 1, 1, 1), 3.0), 3)
    np.testing.assert_allclose(adapted.ravel(), [1, 1, 1])


def test_refusals():
    with pytest.raises(UserError, match="`channels`"):
        adapt_input_channels(KERNEL, 0)
    with pytest.raises(UserError, match="rank 4"):
        adapt_input_channels(KERNEL[0], 1)
