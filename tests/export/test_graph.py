"""The flat list of a model's layers."""

from __future__ import annotations

import pytest
import tensorflow as tf

from burn_tf.export.graph import SharedLayerError, flat_graph

Layers = tf.keras.layers


def test_order_inputs_and_consumers() -> None:
    inputs = tf.keras.Input((4,))
    a = Layers.Dense(4, name="a")(inputs)
    b = Layers.Dense(4, name="b")(a)
    nodes, outputs = flat_graph(tf.keras.Model(inputs, Layers.Add(name="c")([a, b])))
    assert [node.layer.name for node in nodes] == ["a", "b", "c"]
    assert [node.layer.name for node in nodes[2].inputs] == ["a", "b"]
    assert [node.layer.name for node in nodes[0].consumers] == ["b", "c"]
    assert nodes[0].inputs[0].layer is None
    assert outputs == [nodes[2]]


def test_models_inside_are_opened() -> None:
    inner_inputs = tf.keras.Input((4,))
    inner = tf.keras.Model(inner_inputs, Layers.Dense(4, name="inner")(inner_inputs))
    model = tf.keras.Sequential([Layers.InputLayer((4,)), Layers.Dense(4, name="first"), inner])
    nodes, outputs = flat_graph(model)
    assert [node.layer.name for node in nodes] == ["first", "inner"]
    assert nodes[1].inputs == [nodes[0]] and outputs == [nodes[1]]


def test_an_operand_of_an_operator_is_an_input() -> None:
    inputs = tf.keras.Input((4,))
    a, b = (Layers.Dense(4, name=name)(inputs) for name in "ab")
    nodes, _ = flat_graph(tf.keras.Model(inputs, a * b))
    assert [node.layer.name for node in nodes[2].inputs] == ["a", "b"]


@pytest.mark.parametrize("nested", [False, True])
def test_a_layer_used_twice_is_refused(nested: bool) -> None:
    inputs = tf.keras.Input((4,))
    layer = Layers.Dense(4)
    if nested:
        inner = tf.keras.Input((4,))
        layer = tf.keras.Model(inner, layer(inner))
    with pytest.raises(SharedLayerError):
        flat_graph(tf.keras.Model(inputs, layer(layer(inputs))))
