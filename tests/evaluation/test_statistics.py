"""Summaries of seeds and draws against SciPy and the printed tables."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats  # type: ignore[import-untyped]

from burn_tf._checks import UserError
from burn_tf.evaluation import summarise
from burn_tf.evaluation.statistics import student_quantile


def test_printed_table():
    table = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 10: 2.228, 30: 2.042, 120: 1.980}
    assert {n: round(student_quantile(0.975, n), 3) for n in table} == table


@pytest.mark.parametrize("probability", [0.5, 0.6, 0.9, 0.995, 0.9999])
def test_quantiles_equal_scipy(probability):
    for degrees in (1, 2, 3, 4, 7, 8, 50, 1001):
        wanted = stats.t.ppf(probability, degrees)
        assert student_quantile(probability, degrees) == pytest.approx(wanted, rel=1e-9, abs=1e-12)


def test_interval_equals_scipy():
    values = np.random.default_rng(0).normal(60.0, 2.0, 5)
    found = summarise(list(values))
    low, high = stats.t.interval(0.95, 4, values.mean(), stats.sem(values))
    assert found.mean == pytest.approx(values.mean())
    assert found.deviation == pytest.approx(values.std(ddof=1))
    assert (found.low, found.high) == pytest.approx((low, high))
    assert found.text() == f"{values.mean():.2f} ± {(high - low) / 2:.2f}"
    assert found.to_json()["values"] == list(values)


def test_one_figure_has_no_interval():
    found = summarise([3.0])
    assert (found.mean, found.deviation, found.low, found.high) == (3.0, None, None, None)
    assert found.text() == "3.00"


def test_equal_figures_have_an_interval_of_no_width():
    found = summarise([0.1] * 5)
    assert found.deviation == pytest.approx(0.0, abs=1e-15) and found.low == pytest.approx(0.1)


@pytest.mark.parametrize("values", [[], [1.0, float("nan")], [float("inf")]])
def test_no_figures(values):
    with pytest.raises(UserError, match=r"`values` must .* Received"):
        summarise(values)
