"""Weights have the same names after a .keras file as after a first call."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from burn_tf.layers import BatchNorm, BinaryConv2D, RPReLU, RSign
from burn_tf.methods.prototypes import Prototypes


@pytest.fixture
def model() -> tf.keras.Model:
    """Two of each layer."""
    images = values = tf.keras.Input((8, 8, 4))
    for number in (1, 2):
        values = RSign(name=f"sign_{number}")(values)
        values = BinaryConv2D(4, 3, name=f"conv_{number}")(values)
        values = BatchNorm(name=f"bn_{number}")(values)
        values = RPReLU(name=f"act_{number}")(values)
    values = tf.keras.layers.GlobalAveragePooling2D()(values)
    return tf.keras.Model(images, Prototypes(3, name="prototypes")(values), name="small")


def test_names_survive_a_file(model: tf.keras.Model, tmp_path: Path) -> None:
    names = [weight.name for weight in model.weights]
    assert {"sign_2/shift:0", "conv_1/kernel:0", "bn_1/gamma:0"} <= set(names)
    model.save(tmp_path / "model.keras")
    loaded = tf.keras.models.load_model(tmp_path / "model.keras", compile=False)
    assert [weight.name for weight in loaded.weights] == names


def test_weights_of_a_loaded_backbone_under_a_head_go_through_hdf5(
    model: tf.keras.Model, tmp_path: Path
) -> None:
    model.save(tmp_path / "model.keras")
    loaded = tf.keras.models.load_model(tmp_path / "model.keras", compile=False)
    whole = tf.keras.Sequential([loaded, tf.keras.layers.Dense(2)])
    whole.save_weights(tmp_path / "whole.h5")
    kept = whole.get_weights()
    whole.set_weights([weight + 1 for weight in kept])
    whole.load_weights(tmp_path / "whole.h5")
    for weight, expected in zip(whole.get_weights(), kept, strict=True):
        np.testing.assert_array_equal(weight, expected)
