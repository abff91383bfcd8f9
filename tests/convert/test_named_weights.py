"""Names are those of the layers, and every variable has exactly one."""

from __future__ import annotations

import pytest
import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.convert.named_weights import named_weights
from tests.convert.small_network import small_network

Dense = tf.keras.layers.Dense


class _Pair(tf.keras.layers.Layer):
    """Two weights that share a name."""

    def build(self, input_shape) -> None:
        self.first = self.add_weight("w", shape=[1])
        self.second = self.add_weight("w", shape=[2])

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return inputs * self.first


def test_flat_network():
    model = small_network(classes=2)
    names = [variable.name.removesuffix(":0") for variable in model.weights]
    assert list(named_weights(model)) == names
    assert {"conv_3/kernel", "bn_1/moving_mean", "act_3/slope"} <= set(names)


def test_every_variable_under_its_own_name():
    model = small_network()
    for name, variable in named_weights(model).items():
        layer, _, weight = name.rpartition("/")
        assert variable in [getattr(model.get_layer(layer), weight)]


def test_nested_models():
    inner = tf.keras.Sequential([Dense(2, input_shape=(3,), name="a")], name="inner")
    outer = tf.keras.Sequential([inner, Dense(4, name="a")], name="outer")
    assert list(named_weights(outer)) == ["inner/a/kernel", "inner/a/bias", "a/kernel", "a/bias"]


def test_a_layer_used_twice_is_named_once():
    inputs = tf.keras.Input((3,))
    shared = Dense(3, name="shared")
    assert list(named_weights(tf.keras.Model(inputs, shared(shared(inputs))))) == [
        "shared/kernel",
        "shared/bias",
    ]


def test_layers_within_layers_and_equal_names():
    inputs = tf.keras.Input((4, 3))
    attention = tf.keras.layers.MultiHeadAttention(1, 2, name="mha")
    x = _Pair(name="pair")(attention(inputs, inputs))
    names = list(named_weights(tf.keras.Model(inputs, x)))
    assert len(names) == len(set(names)) == 10
    assert {"mha/query/kernel", "mha/key/kernel", "pair/w", "pair/w_1"} <= set(names)


def test_name_scopes_do_not_count():
    with tf.name_scope("somewhere"):
        layer = Dense(2, name="head")
        layer.build((None, 3))
    inputs = tf.keras.Input((3,))
    assert list(named_weights(tf.keras.Model(inputs, layer(inputs)))) == [
        "head/kernel",
        "head/bias",
    ]


def test_refusals():
    with pytest.raises(UserError, match="must be built"):
        named_weights(tf.keras.Sequential([Dense(2)]))

    class Loose(tf.keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.loose = self.add_weight("loose", shape=[1])
            self.dense = Dense(1)

        def call(self, inputs: tf.Tensor) -> tf.Tensor:
            return self.dense(inputs) * self.loose

    model = Loose()
    model(tf.ones([1, 2]))
    with pytest.raises(UserError, match="3 weights, 2 of them in layers"):
        named_weights(model)
    inner = tf.keras.Sequential([Dense(2, input_shape=(3,), name="a")], name="inner")
    twice = tf.keras.Sequential([inner, Dense(4, name="inner/a")])
    with pytest.raises(UserError, match=r"distinct names\. Received: two 'inner/a'"):
        named_weights(twice)
