"""The flat list of a model's layers."""

from __future__ import annotations

import pytest
import tensorflow as tf

from burn_tf.export.graph import UNCHANGED, SharedLayerError, flat_graph
from burn_tf.layers import BinaryConv2D

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


def test_calls_of_one_layer_are_told_apart() -> None:
    """Heads on several maps, as detectors have them; the second runs on what the first gave."""
    inputs = tf.keras.Input((4, 4, 3))
    entry = tf.keras.Input((None, None, 3))
    conv = Layers.Conv2D(3, 1, name="conv")
    head = tf.keras.Model(entry, Layers.ReLU(name="bend")(conv(entry)))
    once = head(inputs)
    pooled = Layers.MaxPooling2D(name="pool")(once)
    model = tf.keras.Model(inputs, [head(pooled), once])
    nodes, outputs = flat_graph(model, UNCHANGED)
    assert [n.layer.name for n in nodes] == ["conv", "bend", "pool", "conv", "bend"]
    assert nodes[3].inputs == [nodes[2]] and nodes[2].inputs == [nodes[1]]
    assert outputs == [nodes[4], nodes[1]]
    with pytest.raises(SharedLayerError):
        flat_graph(model)
    with pytest.raises(SharedLayerError):
        flat_graph(model, [Layers.Conv2D])


def test_a_subclass_is_not_repeatable() -> None:
    inputs = tf.keras.Input((4, 4, 3))
    conv = BinaryConv2D(3, 1)
    with pytest.raises(SharedLayerError):
        flat_graph(tf.keras.Model(inputs, conv(conv(inputs))), UNCHANGED)


def test_outputs_of_a_model_inside_are_told_apart() -> None:
    """Named inputs and outputs, given in another order than that of their names."""
    entry = tf.keras.Input((4, 4, 3))
    ends = {"late": Layers.ReLU(name="late")(entry), "early": Layers.Conv2D(3, 1, name="c")(entry)}
    levels = tf.keras.Model(entry, ends, name="levels")
    sides = {name: tf.keras.Input((4, 4, 3), name=name) for name in ("b", "a")}
    of_a, of_b = (Layers.ReLU(name=f"of_{name}")(sides[name]) for name in ("a", "b"))
    neck = tf.keras.Model(sides, [of_b, of_a], name="neck")
    inputs = tf.keras.Input((4, 4, 3))
    given = levels(inputs)
    first, second = neck({"a": given["late"], "b": given["early"]})
    nodes, outputs = flat_graph(tf.keras.Model(inputs, {"y": first, "x": second}))
    by_name = {node.layer.name: node for node in nodes}
    assert by_name["of_a"].inputs == [by_name["late"]] and by_name["late"].inputs[0].layer is None
    assert by_name["of_b"].inputs == [by_name["c"]]
    assert outputs == [by_name["of_a"], by_name["of_b"]]
