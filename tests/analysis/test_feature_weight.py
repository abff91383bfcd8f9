"""lambda(t) of every kind against eq. 3 and Table 7 of BURN."""

from __future__ import annotations

import math

import numpy as np
import pytest

from burn_tf._checks import UserError
from burn_tf.analysis import feature_weight


def test_curves_follow_the_formulas() -> None:
    analysis = feature_weight(updates=80, start=0.8, end=0.2)
    curves = {series.name: series for series in analysis.panels[0].series}
    t = np.arange(81)
    expected = {
        "cosine": 0.2 + 0.6 * (np.cos(math.pi * t / 80) + 1) / 2,
        "constant": np.full(81, 0.2),
        "step": np.where(t < 40, 0.8, 0.2),
    }
    assert curves.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(curves[name].x, t)
        np.testing.assert_allclose(curves[name].y, values, atol=1e-6)


def test_rows_are_the_papers_values() -> None:
    rows = {row["kind"]: list(row.values())[1:] for row in feature_weight().rows}
    assert rows == {
        "cosine": [0.9, 0.8707, 0.8, 0.7293, 0.7],
        "constant": [0.7] * 5,
        "step": [0.9, 0.9, 0.7, 0.7, 0.7],
    }


def test_a_single_update_has_two_points() -> None:
    assert list(feature_weight(updates=1).panels[0].series[0].x) == [0, 1]


@pytest.mark.parametrize(("arguments", "name"), [({"updates": 0}, "updates"), ({"end": 2}, "end")])
def test_mistakes_name_the_argument(arguments: dict, name: str) -> None:
    with pytest.raises(UserError, match=f"`{name}` must .* Received"):
        feature_weight(**arguments)
