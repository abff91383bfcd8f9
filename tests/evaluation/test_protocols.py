"""Names of protocols and what they stand for."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.evaluation import PROTOCOLS, Result, get_protocol

SETTINGS: dict[str, dict[str, float]] = {
    "linear:burn": {"learning_rate": 30.0, "epochs": 100, "weight_decay": 0.0, "momentum": 0.9},
    "linear:burn-scene": {"learning_rate": 0.01, "epochs": 28, "weight_decay": 1e-5},
    "linear:msbreg": {"learning_rate": 0.2, "epochs": 100, "weight_decay": 1e-4},
    "linear:fast": {"held_out": 0.2},
    "knn:5": {"k": 5},
    "knn:20": {"k": 20},
    "knn:200": {"k": 200},
    "semi:1pct": {"fraction": 0.01, "epochs": 20, "momentum": 0.9, "weight_decay": 5e-4},
    "semi:10pct": {"fraction": 0.1, "epochs": 20},
}
FROZEN = sorted(name for name in PROTOCOLS if not name.startswith("semi:"))


@pytest.mark.parametrize("name", sorted(PROTOCOLS))
def test_settings(name):
    probe = get_protocol(name)
    assert probe.name == name
    assert SETTINGS[name].items() <= probe.get_config().items()
    assert get_protocol(name) is not probe


def test_a_typo_shows_the_nearest_name():
    with pytest.raises(UserError, match="Did you mean 'linear:msbreg'"):
        get_protocol("linear:msbrag")


@pytest.mark.parametrize("name", FROZEN)
def test_every_protocol_on_golden_features(golden, name):
    """A frozen network in front: its variables are bit for bit those from before the probe."""
    backbone = tf.keras.Sequential(
        [
            tf.keras.layers.InputLayer((8, 8, 3)),
            tf.keras.layers.AveragePooling2D(4),
            tf.keras.layers.BatchNormalization(),
            tf.keras.layers.Flatten(),
        ]
    )
    before = [np.array(variable) for variable in backbone.variables]
    result = get_protocol(name).run(backbone, golden)
    assert isinstance(result, Result) and result.protocol == name
    assert result.metrics == {"top1": 92.5}
    assert result.provenance["feature_dim"] == 12
    assert Result.from_json(result.to_json()) == result
    for old, variable in zip(before, backbone.variables, strict=True):
        np.testing.assert_array_equal(old, variable.numpy())
