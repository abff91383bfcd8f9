"""Numbers as text: literal values."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from burn_tf.report.numbers import (
    format_column,
    format_duration,
    format_tick,
    format_value,
    is_number,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.123456, "0.1235"),
        (1.0, "1"),
        (1797, "1797"),
        (np.int64(7), "7"),
        (np.float32(0.5), "0.5"),
        (2210.04, "2210.0"),
        (3.2e-6, "3.2e-06"),
        (5e12, "5e+12"),
        (math.nan, "nan"),
        (-math.inf, "-inf"),
        (-0.0, "0"),
        (True, "yes"),
        (np.bool_(False), "no"),
        (None, ""),
        ("text", "text"),
    ],
)
def test_format_value(value: object, text: str):
    assert format_value(value) == text


def test_is_number_refuses_booleans_and_texts():
    accepted = [1, 1.5, np.float32(1), np.int8(1), math.nan, Fraction(1, 2)]
    assert all(is_number(value) for value in accepted)
    assert not any(is_number(value) for value in [True, np.bool_(True), "1", None, [1]])


def test_a_column_of_floats_shares_its_decimals():
    column: list[object] = [97.22, 8.5, 100.0, None, "n/a", 3, math.nan]
    assert format_column(column) == ["97.22", "8.50", "100.00", "", "n/a", "3", "nan"]


def test_a_column_with_an_exponent_stays_as_it_is():
    assert format_column([1e-7, 0.25]) == ["1e-07", "0.25"]


@pytest.mark.parametrize(
    ("value", "step", "text"),
    [
        (0.5, 0.25, "0.50"),
        (0.05, 0.05, "0.05"),
        (3.0, 1.0, "3"),
        (1500.0, 500.0, "1.5k"),
        (-2e6, 1e6, "-2M"),
        (1500.0, 0.5, "1500.0"),
        (2e-5, 1e-5, "2e-5"),
        (1e-9, 0.2, "0"),
        (1e20, 1e20, "1e20"),
    ],
)
def test_format_tick(value: float, step: float, text: str):
    assert format_tick(value, step) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0:00"),
        (59.4, "0:59"),
        (59.6, "1:00"),
        (3599.6, "1:00:00"),
        (90061, "25:01:01"),
        (math.nan, "?"),
        (math.inf, "?"),
        (-1, "?"),
    ],
)
def test_format_duration(seconds: float, text: str):
    assert format_duration(seconds) == text
