"""Checks name the argument, what was received and what is allowed."""

from __future__ import annotations

import math

import pytest
import tensorflow as tf

from burn_tf._checks import (
    UserError,
    check_choice,
    check_integer,
    check_range,
    check_rank,
    check_sides,
    nearest,
)


def test_choice_names_the_nearest() -> None:
    assert check_choice("kind", "l1", ("l1", "l2")) == "l1"
    with pytest.raises(UserError, match=r"`kind` .*Did you mean 'cosine'\? Received: 'cosin'"):
        check_choice("kind", "cosin", ("cosine", "l1"))


def test_choice_without_a_near_one() -> None:
    with pytest.raises(UserError, match=r"one of 'l1', 'l2'\. Received: 'zzz'"):
        check_choice("kind", "zzz", ("l1", "l2"))


@pytest.mark.parametrize("value", [-0.1, 1.1, math.nan, "0.5", True, None, 10**400, math.inf])
def test_range_refuses(value: object) -> None:
    with pytest.raises(UserError, match="`rate` must be a number with 0 <= value <= 1"):
        check_range("rate", value, low=0, high=1)  # type: ignore[arg-type]


def test_range_open_ends() -> None:
    assert check_range("t", 0.5, low=0, low_open=True) == 0.5
    with pytest.raises(UserError, match="0 < value"):
        check_range("t", 0.0, low=0, low_open=True)
    with pytest.raises(UserError, match="value < 1"):
        check_range("t", 1.0, high=1, high_open=True)


@pytest.mark.parametrize("value", [0, 1.5, True, "3", 11])
def test_integer_refuses(value: object) -> None:
    with pytest.raises(UserError, match="`n` must be a whole number"):
        check_integer("n", value, low=1, high=10)  # type: ignore[arg-type]


def test_rank() -> None:
    check_rank("x", tf.zeros([2, 3]), 2)
    with pytest.raises(UserError, match=r"`x` must have rank 2\. Received: shape \(3,\)"):
        check_rank("x", tf.zeros([3]), 2)


def test_nearest() -> None:
    assert nearest("burn_digit", ["burn_digits", "msbreg_digits"]) == "burn_digits"
    assert nearest("xyz", ["burn_digits"]) is None


@pytest.mark.parametrize(("value", "sides"), [(5, (5, 5)), ((4, 7), (4, 7)), ([4, 7], (4, 7))])
def test_sides(value: int | tuple[int, int], sides: tuple[int, int]) -> None:
    assert check_sides("input_size", value) == sides


@pytest.mark.parametrize("value", [0, (4, 0), (4,), (1, 2, 3), "32", 3.5, None])
def test_sides_refuse(value: object) -> None:
    with pytest.raises(UserError, match="`input_size` must be"):
        check_sides("input_size", value)  # type: ignore[arg-type]
