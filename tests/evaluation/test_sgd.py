"""The settings and the update of SGD with a stepped rate."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.evaluation.sgd import SteppedSGD, sgd_step

SETTINGS: dict[str, Any] = {
    "epochs": 10,
    "decay_epochs": (4, 8),
    "decay_factor": 0.1,
    "momentum": 0.9,
    "weight_decay": 1e-4,
    "batch_size": 16,
    "seed": 0,
}


def test_rate_falls_where_a_decay_epoch_starts() -> None:
    schedule = SteppedSGD(**SETTINGS)
    rates = [schedule.decayed(2.0, epoch) for epoch in (0, 3, 4, 7, 8, 9)]
    np.testing.assert_allclose(rates, [2.0, 2.0, 0.2, 0.2, 0.02, 0.02])


def test_config_makes_the_same_settings() -> None:
    schedule = SteppedSGD(**SETTINGS)
    assert schedule.get_config()["decay_epochs"] == [4, 8]
    assert SteppedSGD(**schedule.get_config()).get_config() == schedule.get_config()


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("epochs", 0),
        ("decay_epochs", [-1]),
        ("decay_factor", 0.0),
        ("momentum", 1.0),
        ("weight_decay", -1e-4),
        ("batch_size", 0),
        ("seed", -1),
    ],
)
def test_bad_settings_are_named(name: str, bad: Any) -> None:
    with pytest.raises(UserError, match=f"`{name}` must be"):
        SteppedSGD(**SETTINGS | {name: bad})


def test_momentum_gathers_gradients_and_decay_is_part_of_them() -> None:
    rng = np.random.default_rng(0)
    start, gradients = rng.normal(size=4), rng.normal(size=(3, 4))
    variable, velocity = tf.Variable(start), tf.Variable(np.zeros(4))
    value, gathered = start.copy(), np.zeros(4)
    for gradient in gradients:
        sgd_step(variable, velocity, tf.constant(gradient), 0.1, 0.9, 0.01)
        gathered = 0.9 * gathered + gradient + 0.01 * value
        value = value - 0.1 * gathered
    np.testing.assert_allclose(variable, value, rtol=1e-12)
