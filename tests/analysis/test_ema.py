"""The simulated moving average against the closed forms of a random walk."""

from __future__ import annotations

import math

import numpy as np
import pytest

from burn_tf._checks import UserError
from burn_tf.analysis import moving_average


def curves(updates: int, decay: float, **options: float) -> dict[str, np.ndarray]:
    """Lag and movement by name, float and signs."""
    panels = moving_average(updates, [decay], **options).panels
    return {
        f"{what} {series.name.split(',')[0]}": np.asarray(series.y)
        for what, panel in zip(("lag", "move"), panels[:2], strict=True)
        for series in panel.series
    }


def test_lag_and_movement_are_those_of_an_averaged_walk() -> None:
    # d_t = w_t - m_t = tau (d_(t-1) + s n_t), so E d^2 -> s^2 tau^2 / (1 - tau^2), and the average
    # moves by (1 - tau) / tau d_t. Weights are ~ N(0, 1): the walk adds next to nothing to them.
    tau, step = 0.9, 0.01
    found = curves(400, tau, weights=20_000, step_size=step, seed=3)
    lag = step * tau / math.sqrt(1.0 - tau**2)
    np.testing.assert_allclose(found["lag float"][200:].mean(), lag, rtol=0.03)
    np.testing.assert_allclose(found["move float"][200:].mean(), lag * (1 - tau) / tau, rtol=0.03)


def test_signs_differ_in_the_share_that_the_angle_says() -> None:
    # Two Gaussian vectors at angle a have different signs in a share a / pi of their entries
    # (Sheppard), and sign vectors that differ in a share q are 2 sqrt(q) apart.
    found = curves(300, 0.99, weights=50_000, step_size=0.05, seed=1)
    for what in ("lag", "move"):
        angle = 2.0 * np.arcsin(found[f"{what} float"][100:] / 2.0)
        expected = 2.0 * np.sqrt(angle / math.pi)
        np.testing.assert_allclose(found[f"{what} signs"][100:].mean(), expected.mean(), rtol=0.03)


def test_the_row_holds_the_means_of_the_curves() -> None:
    analysis = moving_average(40, [0.5], weights=100)
    found = curves(40, 0.5, weights=100)
    row = analysis.rows[0]
    np.testing.assert_allclose(row["lag, signs"], found["lag signs"][20:].mean(), atol=1e-5)
    flips = 100.0 * np.square(found["move signs"][20:] / 2.0).mean()
    np.testing.assert_allclose(row["signs that flip per update, %"], flips, atol=1e-4)
    assert found["move signs"].size == 40


def test_without_averaging_there_is_no_lag() -> None:
    row = moving_average(20, [0.0], weights=100).rows[0]
    assert row["lag, float"] < 1e-7 and row["lag, signs"] == 0.0


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"updates": 9}, "updates"),
        ({"decays": []}, "decays"),
        ({"decays": [1.0]}, "decays"),
        ({"weights": 10}, "weights"),
        ({"step_size": 0.0}, "step_size"),
        ({"seed": -1}, "seed"),
    ],
)
def test_mistakes_name_the_argument(arguments: dict, name: str) -> None:
    with pytest.raises(UserError, match=f"`{name}` must .* Received"):
        moving_average(**arguments)
