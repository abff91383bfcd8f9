"""Axes: ticks are round and inside the range, pixels follow the formula, odd ranges stay finite."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from burn_tf.report.axis import drawable, linear_ticks, log_ticks, make_axis, nice_step

_FLOATS = st.floats(allow_nan=True, allow_infinity=True, width=64)


@pytest.mark.parametrize(
    ("span", "count", "step"),
    [(10.0, 5, 2.0), (1.0, 4, 0.25), (7.3, 5, 2.0), (0.0123, 5, 0.0025), (9e6, 3, 5e6)],
)
def test_nice_step_literal(span: float, count: int, step: float):
    assert nice_step(span, count) == pytest.approx(step, rel=1e-12)


def test_linear_ticks_are_the_multiples_inside():
    assert linear_ticks(-0.31, 0.52, 0.25) == [-0.25, 0.0, 0.25, 0.5]


def test_axis_rounds_outward_and_labels_share_decimals():
    axis = make_axis([0.12, 0.93])
    assert (axis.low, axis.high) == (0.0, 1.0)
    assert axis.labels == ("0", "0.2", "0.4", "0.6", "0.8", "1.0")


def test_tight_axis_ends_at_the_values():
    axis = make_axis([3.0, 97.0], tight=True)
    assert (axis.low, axis.high) == (3.0, 97.0)
    assert axis.labels == ("20", "40", "60", "80")


def test_from_zero_holds_zero_on_either_side():
    assert make_axis([5.0, 6.0], from_zero=True).low == 0.0
    assert make_axis([-6.0, -5.0], from_zero=True).high == 0.0


def test_thousands_are_shortened():
    assert make_axis([0.0, 2000.0], tight=True).labels == ("0", "500", "1.0k", "1.5k", "2.0k")


def test_log_ticks_powers_then_finer_then_linear():
    assert log_ticks(1e-3, 1e1, 5) == pytest.approx([1e-3, 1e-2, 1e-1, 1.0, 10.0])
    assert log_ticks(0.4, 6.0, 5) == pytest.approx([0.5, 1.0, 2.0, 5.0])
    assert log_ticks(2.1, 3.9, 5) == pytest.approx([2.5, 3.0, 3.5])
    assert len(log_ticks(1e-30, 1e30, 5)) <= 6


def test_pixel_linear_and_log():
    linear = make_axis([0.0, 10.0], tight=True).placed(200.0, 100.0)
    assert [linear.pixel(v) for v in (0.0, 2.5, 10.0)] == [200.0, 175.0, 100.0]
    log = make_axis([1.0, 100.0], log=True).placed(0.0, 1.0)
    assert log.pixel(10.0) == pytest.approx(0.5, abs=1e-12)
    assert log.pixel(100.0) - log.pixel(10.0) == pytest.approx(log.pixel(10.0) - log.pixel(1.0))


def test_no_value_gives_a_unit_axis():
    assert (make_axis([]).low, make_axis([math.nan]).high) == (0.0, 1.0)


@pytest.mark.parametrize("value", [0.0, 1.0, -7.0, 5e-324, 1e299, 1e-12])
@pytest.mark.parametrize("log", [False, True])
def test_one_value_gets_a_range_around_it(value: float, log: bool):
    if log and value <= 1e-300:
        value = 3.0
    axis = make_axis([value, value], log=log)
    assert axis.low < value < axis.high or axis.low <= value < axis.high


def test_drawable_leaves_out_what_cannot_be_drawn():
    values = np.array([1.0, np.nan, np.inf, -np.inf, 1e305, 0.0, -1.0])
    assert drawable(values).tolist() == [True, False, False, False, False, True, True]
    assert drawable(values, log=True).tolist() == [True] + [False] * 6


@pytest.mark.parametrize("high", [1e9, 2.5e296])
def test_a_log_axis_of_many_decades_has_few_ticks(high: float):
    axis = make_axis([1.0, high], log=True)
    assert 3 <= len(axis.ticks) <= 6
    assert axis.low < 1.0 and high < axis.high < 11 * high


@settings(max_examples=300, deadline=None)
@given(st.lists(_FLOATS, max_size=6), st.booleans(), st.booleans(), st.booleans())
def test_any_values_give_a_finite_axis(
    values: list[float], log: bool, from_zero: bool, tight: bool
):
    axis = make_axis(values, log=log, from_zero=from_zero, tight=tight).placed(50.0, 300.0)
    assert axis.low < axis.high
    assert 1 <= len(axis.ticks) <= 12
    assert len(set(axis.labels)) == len(axis.labels)
    for value in [*axis.ticks, *(v for v in values if drawable(np.array(v), log))]:
        assert 49.0 <= axis.pixel(value) <= 301.0
