"""`set_binarize` changes modes and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.backbones import ReActNetTiny, ResNet18, set_binarize
from burn_tf.layers import BinaryConv2D, RSign
from tests.backbones.reactnet_reference import randomize

MODES = ["none", "activations", "both"]


def images() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(2, 12, 12, 3)).astype(np.float32)


@pytest.mark.parametrize(
    ("before", "after"),
    [("none", "both"), ("activations", "both"), ("both", "activations"), ("both", "none")],
)
def test_equals_a_network_built_in_that_mode(before, after):
    model = ReActNetTiny(binarize=before)
    randomize(model)
    switched = set_binarize(model, after)
    built = ReActNetTiny(binarize=after)
    built.set_weights(model.get_weights())
    np.testing.assert_array_equal(switched(images()).numpy(), built(images()).numpy())
    convs = [layer for layer in switched.layers if isinstance(layer, BinaryConv2D)]
    assert {layer.binarize for layer in convs} == {after}
    signs = [layer for layer in switched.layers if isinstance(layer, RSign)]
    assert {layer.binarize for layer in signs} == {after != "none"}


def test_the_modes_differ():
    model = ReActNetTiny(binarize="none")
    randomize(model)
    results = [set_binarize(model, mode)(images()).numpy() for mode in MODES]
    assert np.abs(results[0] - results[1]).max() > 0.01
    assert np.abs(results[1] - results[2]).max() > 0.01


def test_shares_nothing_with_the_original():
    model = ReActNetTiny()
    before = model.get_weights()
    switched = set_binarize(model, "activations")
    for variable in switched.variables:
        variable.assign(tf.zeros_like(variable))
    for value, kept in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(value, kept)


def test_reaches_nested_models_and_keeps_precision_and_freezing():
    tf.keras.mixed_precision.set_global_policy("mixed_bfloat16")
    backbone = ReActNetTiny(include_top=False, pooling="avg")
    backbone.get_layer("stem_conv").trainable = False
    outer = tf.keras.Sequential([backbone, tf.keras.layers.Dense(3, dtype="float32")])
    outer.build([None, 12, 12, 3])
    tf.keras.mixed_precision.set_global_policy("float32")
    inner = set_binarize(outer, "activations").layers[0]
    assert inner.get_layer("block1_3x3_conv").binarize == "activations"
    assert inner.get_layer("block1_3x3_conv").compute_dtype == "bfloat16"
    assert not inner.get_layer("stem_conv").trainable


def test_refusals():
    with pytest.raises(UserError, match=r"`mode`.*Did you mean 'both'.*Received: 'bth'"):
        set_binarize(ReActNetTiny(), "bth")
    with pytest.raises(UserError, match=r"'resnet18' has no BinaryConv2D"):
        set_binarize(ResNet18(width=0.125), "both")
