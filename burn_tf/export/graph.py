"""A model as a flat list of layers in order, with the models inside it opened."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import tensorflow as tf


@dataclasses.dataclass(eq=False)
class Node:
    """The one use of a layer; `layer` is None for the model's input."""

    layer: Any
    inputs: list[Node]
    consumers: list[Node] = dataclasses.field(default_factory=list)


class SharedLayerError(Exception):
    """A layer is used more than once."""


def flat_graph(model: tf.keras.Model) -> tuple[list[Node], list[Node]]:
    """All layers in the order in which they run, and those that give the model's outputs.

    Args:
        model: functional or sequential.

    Raises:
        SharedLayerError: a layer is used more than once.
    """
    nodes, outputs = _flat(model, [Node(None, []) for _ in model.inputs])
    if len({id(node.layer) for node in nodes}) != len(nodes):
        raise SharedLayerError
    return nodes, outputs


def _flat(model: tf.keras.Model, inputs: list[Node]) -> tuple[list[Node], list[Node]]:
    if isinstance(model, tf.keras.Sequential):
        nodes, last = [], inputs
        for layer in model.layers:
            added, last = _use(layer, last)
            nodes += added
        return nodes, last
    config = model.get_config()
    made: dict[str, list[Node]] = dict(
        zip((word[0] for word in _ends(config["input_layers"])), [[i] for i in inputs], strict=True)
    )
    nodes = []
    for entry in config["layers"]:
        if entry["name"] in made:
            continue
        given = [node for name in _inbound(entry, made) for node in made[name]]
        added, made[entry["name"]] = _use(model.get_layer(entry["name"]), given)
        nodes += added
    return nodes, [node for word in _ends(config["output_layers"]) for node in made[word[0]]]


def _inbound(entry: dict[str, Any], made: dict[str, list[Node]]) -> list[str]:
    """Names of the layers whose outputs one layer of a functional config takes."""
    nodes = entry["inbound_nodes"]
    if len(nodes) > 1:
        raise SharedLayerError
    return list(_references(nodes, made))


def _references(value: Any, made: dict[str, list[Node]]) -> Iterator[str]:
    # A tensor is ["name", 0, 0] or ["name", 0, 0, {arguments}]; arguments may be tensors too.
    if isinstance(value, dict):
        for item in value.values():
            yield from _references(item, made)
    elif isinstance(value, (list, tuple)):
        if len(value) >= 3 and isinstance(value[0], str) and value[0] in made:
            yield value[0]
            value = value[3:]
        for item in value:
            yield from _references(item, made)


def _ends(words: Any) -> list[Any]:
    return [words] if words and isinstance(words[0], str) else list(words)


def _use(layer: Any, inputs: list[Node]) -> tuple[list[Node], list[Node]]:
    if isinstance(layer, tf.keras.layers.InputLayer):
        return [], inputs
    if isinstance(layer, tf.keras.Model):
        return _flat(layer, inputs)
    node = Node(layer, inputs)
    for given in inputs:
        given.consumers.append(node)
    return [node], [node]
