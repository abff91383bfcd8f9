"""Configurations that can be rebuilt without running what they name."""

from __future__ import annotations

import json
from typing import Any

import pytest
import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.convert.model_config import (
    build_model,
    input_channels,
    model_to_json,
    parse_config,
)
from tests.convert.small_network import small_network

layers = tf.keras.layers


@tf.keras.utils.register_keras_serializable(package="test_model_config")
class Doubled(tf.keras.layers.Layer):
    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return 2 * inputs


@tf.keras.utils.register_keras_serializable(package="test_model_config")
def known_function(x: tf.Tensor) -> tf.Tensor:
    return 3 * x


def unknown_function(x: tf.Tensor) -> tf.Tensor:
    return 4 * x


class Unknown(tf.keras.layers.Layer):
    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return inputs


@tf.keras.utils.register_keras_serializable(package="test_model_config")
class Network(tf.keras.Model):
    """Functional, but of a class of its own."""


def with_layer(layer: Any) -> tf.keras.Model:
    inputs = tf.keras.Input((3,), name="inputs")
    return tf.keras.Model(inputs, layer(inputs), name="model")


def rebuilt(model: tf.keras.Model) -> tf.keras.Model:
    return build_model(parse_config(model_to_json(model)))


@pytest.mark.parametrize(
    "build",
    [
        small_network,
        lambda: with_layer(Doubled()),
        lambda: tf.keras.Sequential([small_network(classes=3), layers.Softmax()]),
        lambda: tf.keras.Sequential([layers.Dense(2, "gelu", input_shape=(3,)), layers.ReLU()]),
        lambda: with_layer(layers.Dense(2, known_function)),
        lambda: with_layer(layers.Dense(2, kernel_regularizer="l2", kernel_constraint="max_norm")),
        lambda: with_layer(layers.BatchNormalization(dtype="mixed_bfloat16")),
    ],
)
def test_round_trip(build):
    model = build()
    again = rebuilt(model)
    assert isinstance(again, type(model))
    assert again.get_config() == model.get_config()
    assert model_to_json(again) == model_to_json(model)


def test_registered_model_class():
    inputs = tf.keras.Input((3,))
    assert isinstance(rebuilt(Network(inputs, Doubled()(inputs))), Network)


def test_two_binary_layers_of_one_name_in_nested_models():
    inner = tf.keras.Sequential([small_network(), layers.Reshape((2, 2, 3))])
    both = tf.keras.Sequential([inner, small_network(side=2)], name="both")
    assert rebuilt(both).get_config() == both.get_config()


def test_is_plain_json_without_optimizer_or_private_modules():
    model = small_network()
    model.compile("adam", "mse")
    text = model_to_json(model)
    assert "compile_config" not in text
    assert "src" not in text
    assert json.loads(text)["config"]["name"] == "small"


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        (layers.Lambda(lambda x: x), "code.*'Lambda'"),
        (lambda x: tf.nn.relu(x), "code.*'TFOpLambda'"),
        (lambda x: x[:, :1], "code.*'SlicingOpLambda'"),
        (Unknown(), "registered.*'Unknown'"),
        (layers.Dense(2, activation=lambda x: x), "code.*'lambda'"),
        (layers.Dense(2, activation=unknown_function), "code.*'function'"),
    ],
)
def test_refusals(layer, reason):
    with pytest.raises(UserError, match=reason) as error:
        model_to_json(with_layer(layer))
    assert "\n" not in str(error.value)


def test_input_channels():
    assert input_channels(parse_config(model_to_json(small_network(channels=5)))) == 5
    assert input_channels({"config": {}}) is None
