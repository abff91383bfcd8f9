"""Thinning keeps ends, peaks and gaps under its bound; the running mean equals a loop."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from burn_tf._checks import UserError
from burn_tf.report.series import Series, running_mean, thin


def test_series_drops_points_without_x_and_keeps_gaps():
    x, y = Series("a", [0.0, np.nan, 2.0], [1.0, 2.0, np.nan]).arrays()
    assert x.tolist() == [0.0, 2.0]
    assert y[0] == 1.0 and np.isnan(y[1])


def test_series_of_unequal_length_is_refused():
    with pytest.raises(UserError, match=r"'kl'.*Received: shapes \(2,\) and \(3,\)"):
        Series("kl", [0, 1], [0, 1, 2]).arrays()


def test_thin_leaves_short_series_alone():
    x = np.arange(50.0)
    kept_x, kept_y = thin(x, x**2, max_points=50)
    assert kept_x is x and kept_y.tolist() == (x**2).tolist()


@settings(max_examples=100, deadline=None)
@given(
    length=st.integers(1, 3000),
    max_points=st.integers(8, 200),
    seed=st.integers(0, 1000),
    share_missing=st.sampled_from([0.0, 0.01, 0.5, 1.0]),
)
def test_thin_keeps_ends_extremes_and_order(
    length: int, max_points: int, seed: int, share_missing: float
):
    rng = np.random.default_rng(seed)
    x, y = np.arange(float(length)), rng.standard_normal(length)
    y[rng.random(length) < share_missing] = np.nan
    kept_x, kept_y = thin(x, y, max_points=max_points)
    assert len(kept_x) <= max(max_points, 8)
    assert (kept_x[0], kept_x[-1]) == (0.0, length - 1.0)
    assert (np.diff(kept_x) > 0).all()
    np.testing.assert_array_equal(kept_y, y[kept_x.astype(int)])
    if np.isfinite(y).any():
        assert np.nanmax(kept_y) == np.nanmax(y) and np.nanmin(kept_y) == np.nanmin(y)
    assert np.isnan(y).any() == np.isnan(kept_y).any()


def test_thin_refuses_a_bound_too_small():
    with pytest.raises(UserError, match="`max_points`"):
        thin(np.arange(9.0), np.arange(9.0), max_points=7)


def _loop_mean(y: np.ndarray, window: int) -> list[float]:
    """The definition, one value at a time: walk outwards until an end or a gap."""
    means = []
    for i, centre in enumerate(y):
        values = [centre]
        for direction, reach in ((-1, window // 2), (1, (window - 1) // 2)):
            for distance in range(1, reach + 1):
                j = i + direction * distance
                if j < 0 or j >= len(y) or not np.isfinite(y[j]):
                    break
                values.append(y[j])
        means.append(float(np.mean(values)) if np.isfinite(centre) else np.nan)
    return means


@pytest.mark.parametrize("window", [1, 2, 3, 8, 101])
def test_running_mean_equals_the_loop(window: int):
    y = np.random.default_rng(3).standard_normal(60)
    y[[0, 17, 18, 40]] = np.nan
    np.testing.assert_allclose(running_mean(y, window), _loop_mean(y, window), atol=1e-12)


def test_running_mean_recovers_after_a_huge_spike():
    y = np.full(100, 1e-3)
    y[10] = 1e18
    assert running_mean(y, 5)[-1] == pytest.approx(1e-3, rel=1e-12)


def test_running_mean_of_nothing():
    assert running_mean(np.array([]), 3).shape == (0,)
    assert np.isnan(running_mean(np.full(4, np.nan), 3)).all()
