"""Folding shifts changes where they are added and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from burn_tf import backbones
from burn_tf.export import fold_shifts, to_lce, verify
from burn_tf.layers import BatchNorm, BinaryConv2D, Rotate180, RPReLU, RSign

Shake = Callable[..., tf.keras.Model]


@pytest.fixture(scope="module")
def signed(shaken: Shake, signed_scales: Shake) -> Shake:
    """Random weights, and batch norm scales of both signs."""
    return lambda model: signed_scales(shaken(model))


def pictures(model: tf.keras.Model, count: int = 6) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(count, *model.input_shape[1:])).astype(np.float32)


def assert_equal(model: tf.keras.Model, folded: tf.keras.Model) -> None:
    images = pictures(model)
    np.testing.assert_allclose(folded(images), model(images), rtol=1e-4, atol=1e-4)


def shifts_left(model: tf.keras.Model) -> list[str]:
    """Names of the shifts that are not 0."""
    layers = [layer for layer in model.submodules if isinstance(layer, (RSign, RPReLU))]
    return [
        f"{layer.name}/{weight.name.split('/')[-1]}"
        for layer in layers
        for weight in layer.weights
        if "shift" in weight.name and np.any(weight.numpy() != 0)
    ]


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"pad_values": 0.0},
        {"stem_strides": 2},
        {"input_shape": (17, 23, 3)},
        {"width": 2.0},
        {"binarize": "activations"},
        {"binarize": "none"},
        {"include_top": False},
        {"include_top": False, "pooling": "avg"},
        {"include_top": False, "pooling": "max"},
        {"include_top": False, "pooling": "avg", "embedding_units": 5},
    ],
    ids=str,
)
def test_outputs_are_equal(settings: dict[str, Any], signed: Shake) -> None:
    model = signed(backbones.ReActNetTiny(**({"input_shape": (16, 16, 3)} | settings)))
    before = model.get_weights()
    folded = fold_shifts(model)
    assert_equal(model, folded)
    # 8 signs, of which the stem's batch norm settles the first; the last activation's shift goes
    # into a dense layer where there is one.
    dense = settings.get("include_top", True) or "embedding_units" in settings
    assert len(shifts_left(folded)) == (7 if dense else 8)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.slow
def test_additions_of_reactnet_a(shaken: Shake) -> None:
    """One addition per sign but the first, one per residual sum: 25 + 31 of 78 + 31."""
    model = shaken(backbones.ReActNetA((64, 64, 3), width=0.125, classes=10))
    plain, folded = to_lce(model, fold=False), to_lce(model)
    assert plain.report.operators["ADD"] == 109
    assert folded.report.operators["ADD"] == 56
    assert plain.report.num_binary == folded.report.num_binary == 31
    assert len(folded.flatbuffer) < len(plain.flatbuffer)
    images = pictures(model, 4)
    assert verify(folded.flatbuffer, model, images).median_abs_difference < 1e-3
    map_only = shaken(backbones.ReActNetA((32, 32, 3), include_top=False, width=0.125))
    assert to_lce(map_only).report.operators["ADD"] == 57


def test_models_in_models(signed: Shake) -> None:
    backbone = backbones.ReActNetTiny((16, 16, 3), include_top=False, pooling="avg")
    head = tf.keras.Sequential([tf.keras.layers.Dropout(0.5), tf.keras.layers.Dense(4)])
    model = signed(tf.keras.Sequential([backbone, head]))
    folded = fold_shifts(model)
    assert_equal(model, folded)
    assert len(shifts_left(folded)) == 7


def test_turned_images_pass(signed: Shake) -> None:
    inputs = tf.keras.Input((16, 16, 3))
    x = backbones.ReActNetTiny((16, 16, 3), include_top=False)(Rotate180()(inputs))
    model = signed(tf.keras.Model(inputs, Rotate180()(x)))
    folded = fold_shifts(model)
    assert_equal(model, folded)
    assert len(shifts_left(folded)) == 8


def test_a_layer_that_cannot_take_a_shift_gets_it_whole(signed: Shake) -> None:
    """A ReLU between two units: the activation before it keeps its shift."""
    inputs = x = tf.keras.Input((8, 8, 4))
    for index in range(2):
        y = BinaryConv2D(4, 3, name=f"conv{index}")(RSign(name=f"sign{index}")(x))
        y = BatchNorm(name=f"norm{index}")(y)
        x = RPReLU(name=f"out{index}")(tf.keras.layers.Add()([y, x]))
        x = tf.keras.layers.ReLU()(x) if index == 0 else x
    dense = tf.keras.layers.Dense(3)(tf.keras.layers.GlobalAveragePooling2D()(x))
    model = signed(tf.keras.Model(inputs, dense))
    folded = fold_shifts(model)
    assert_equal(model, folded)
    assert sorted(shifts_left(folded)) == ["out0/shift_out:0", "sign0/shift:0", "sign1/shift:0"]


def test_two_norms_in_one_sum(signed: Shake) -> None:
    inputs = tf.keras.Input((8, 8, 4))
    halves = [BatchNorm()(BinaryConv2D(4, 3)(RSign(name=f"sign{i}")(inputs))) for i in range(2)]
    x = RPReLU(name="out")(tf.keras.layers.Add()(halves))
    model = signed(tf.keras.Model(inputs, x))
    folded = fold_shifts(model)
    assert_equal(model, folded)
    assert sorted(shifts_left(folded)) == ["out/shift_out:0", "sign0/shift:0", "sign1/shift:0"]


def test_a_layer_used_twice_changes_nothing(signed: Shake) -> None:
    inputs = tf.keras.Input((8, 8, 4))
    unit, norm = BinaryConv2D(4, 3), BatchNorm()
    x = inputs
    for index in range(2):
        x = RPReLU(name=f"out{index}")(norm(unit(RSign(name=f"sign{index}")(x))))
    model = signed(tf.keras.Model(inputs, x))
    folded = fold_shifts(model)
    for old, new in zip(model.get_weights(), folded.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_layers_of_others_stay_as_they_are(larq_model: Callable[..., tf.keras.Model]) -> None:
    model = larq_model()
    for old, new in zip(model.get_weights(), fold_shifts(model).get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_sum_by_the_operator_counts_as_a_use(shaken: Shake) -> None:
    """Its second operand is an argument, not an input, in the model's configuration."""
    inputs = tf.keras.Input((8, 8, 3))
    left = RPReLU(name="left")(tf.keras.layers.Conv2D(40, 3, padding="same")(inputs))
    right = RPReLU(name="right")(tf.keras.layers.Conv2D(40, 3, padding="same")(inputs))
    model = shaken(tf.keras.Model(inputs, BinaryConv2D(8, 3)(RSign()(left + right))))
    images = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype(np.float32)
    np.testing.assert_allclose(fold_shifts(model)(images), model(images), atol=1e-4)
