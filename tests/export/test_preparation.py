"""What is refused before a conversion, and the float32 copy of models in mixed precision."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.backbones import ReActNetTiny
from burn_tf.export.binary_layers import binary_layers, quantised_kernel
from burn_tf.export.preparation import (
    check_exportable,
    float32_model,
    frozen_model,
    input_shape,
)
from burn_tf.layers import BinaryConv2D, RSign


class _Subclassed(tf.keras.Model):
    def call(self, inputs):
        return inputs


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (lambda: 3, "must be a tf.keras.Model.*builtins.int"),
        (lambda: tf.Module(), "must be a tf.keras.Model"),
        (_Subclassed, "its backbone. Received: _Subclassed with 0"),
        (lambda: tf.keras.Sequential([tf.keras.layers.Dense(2)]), "functional or sequential"),
        (
            lambda: tf.keras.Sequential([tf.keras.layers.Dense(2, input_shape=(3,))]),
            "binary layers",
        ),
    ],
    ids=["number", "module", "subclassed", "not built", "no binary layer"],
)
def test_refuses_what_is_no_binary_model(bad, message):
    with pytest.raises(UserError, match=message) as caught:
        check_exportable(bad())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_refuses_weights_that_are_not_finite(larq_model, value):
    model = larq_model()
    bias = model.get_layer("top").bias
    bias.assign(tf.tensor_scatter_nd_update(bias, [[2]], [value]))
    with pytest.raises(UserError, match=r"finite weights.*top/bias"):
        check_exportable(model)


def test_input_shape_comes_from_the_model_or_the_argument(larq_model):
    fixed, free = larq_model(), larq_model(side=None)
    assert input_shape(fixed, None) == input_shape(fixed, 10) == (10, 10, 3)
    assert input_shape(free, 12) == (12, 12, 3)
    assert input_shape(free, (12, 9)) == (12, 9, 3)


@pytest.mark.parametrize(
    ("side", "size", "message"),
    [
        (None, None, "pass input_size="),
        (10, 12, r"must be that of the model, \(10, 10\). Received: 12"),
        (None, 0, "input_size"),
        (None, 2.5, "input_size"),
        (None, (1, 2, 3), "input_size"),
    ],
)
def test_refuses_an_unknown_or_wrong_size(larq_model, side, size, message):
    with pytest.raises(UserError, match=message):
        input_shape(larq_model(side=side), size)


def test_a_float32_model_is_not_rebuilt(model):
    assert float32_model(model) == (model, ())


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_is_rebuilt_with_the_same_weights(shaken, policy, images):
    tf.keras.mixed_precision.set_global_policy(policy)
    mixed = shaken(ReActNetTiny(input_shape=(10, 10, 3)))
    tf.keras.mixed_precision.set_global_policy("float32")
    rebuilt, notes = float32_model(mixed)
    assert policy in notes[0]
    assert {layer.compute_dtype for layer in rebuilt.layers} == {"float32"}
    assert rebuilt(images).dtype == tf.float32
    for ours, theirs in zip(rebuilt.weights, mixed.weights, strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("origin", ["larq", "ours"])
def test_frozen_copy_computes_the_same_with_constant_kernels(
    shaken, larq_model, images, origin, nested
):
    model = larq_model() if origin == "larq" else shaken(ReActNetTiny(input_shape=(10, 10, 3)))
    if nested:
        model = tf.keras.Sequential([tf.keras.layers.InputLayer((10, 10, 3)), model])
    before = [np.array(variable) for variable in model.variables]
    frozen = frozen_model(model)
    np.testing.assert_allclose(frozen(images), model(images), rtol=1e-5, atol=1e-5)
    kernels = zip(_convolutions(frozen), _convolutions(model), strict=True)
    for ours, theirs in kernels:
        assert ours.kernel_quantizer is None
        np.testing.assert_array_equal(np.asarray(ours.kernel), np.asarray(quantised_kernel(theirs)))
    for old, variable in zip(before, model.variables, strict=True):
        np.testing.assert_array_equal(old, variable.numpy())


def _convolutions(model):
    names = {"QuantConv2D", "BinaryConv2D"}
    found = [layer for layer in model.submodules if type(layer).__name__ in names]
    assert len(found) >= 2 and len(binary_layers(model)) in (0, len(found))
    return found


def test_a_layer_that_cannot_be_copied_is_said(shaken):
    inputs = tf.keras.Input((8, 8, 3))
    binary = BinaryConv2D(4, 3)(RSign()(inputs))
    model = shaken(tf.keras.Model(inputs, tf.keras.layers.Lambda(lambda x: x + 1.0)(binary)))
    with pytest.raises(UserError, match="layers that Keras can save and load"):
        frozen_model(model)


def test_a_fixed_batch_is_refused():
    inputs = tf.keras.Input((8, 8, 3), batch_size=4)
    model = tf.keras.Model(inputs, BinaryConv2D(4, 3)(RSign()(inputs)))
    with pytest.raises(UserError, match=r"without batch_size=\. Received: .* batches of 4"):
        check_exportable(model)
