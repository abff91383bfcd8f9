"""A model as a flat list of layers in order, with the models inside it opened."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

import tensorflow as tf

# Kinds of layers, subclasses left out, in which neither a fold nor signs as bits change anything.
UNCHANGED = (
    tf.keras.layers.Activation,
    tf.keras.layers.Conv2D,
    tf.keras.layers.ReLU,
    tf.keras.layers.Reshape,
)


@dataclasses.dataclass(eq=False)
class Node:
    """One use of a layer; `layer` is None for the model's input."""

    layer: Any
    inputs: list[Node]
    consumers: list[Node] = dataclasses.field(default_factory=list)


class SharedLayerError(Exception):
    """A layer is used more than once."""


class _Reference(NamedTuple):
    """An output in a model's configuration: of which call of which layer, and which of several."""

    name: str
    call: int
    output: int


@dataclasses.dataclass(frozen=True)
class _Call:
    """One call of a layer, its number as references have it."""

    layer: Any
    number: int
    inputs: tuple[_Reference, ...]


_Made = dict[tuple[str, int], list[Node]]


def flat_graph(
    model: tf.keras.Model, repeatable: Collection[type] = ()
) -> tuple[list[Node], list[Node]]:
    """All uses of layers in the order in which they run, and those that give the model's outputs.

    Args:
        model: functional or sequential.
        repeatable: kinds of layers that may be used more than once, such as the heads of a
            detector, which run on five maps; subclasses may not.

    Raises:
        SharedLayerError: another layer is used more than once.
    """
    nodes, outputs = _flat(model, [Node(None, []) for _ in model.inputs])
    uses = Counter(id(node.layer) for node in nodes)
    if any(uses[id(n.layer)] > 1 and type(n.layer) not in repeatable for n in nodes):
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
    names = {entry["name"] for entry in config["layers"]}
    entries = _references(config["input_layers"], names)
    made: _Made = {(e.name, e.call): [node] for e, node in zip(entries, inputs, strict=True)}
    nodes = _nodes(_calls(model, config, names), made)
    return nodes, [_output(made, end) for end in _references(config["output_layers"], names)]


def _calls(model: tf.keras.Model, config: dict[str, Any], names: set[str]) -> list[_Call]:
    """Every call of every layer of a functional configuration."""
    inputs = {
        entry["name"]: [tuple(_references(call, names)) for call in entry["inbound_nodes"]]
        for entry in config["layers"]
    }
    used = [place for calls in inputs.values() for call in calls for place in call]
    used += _references(config["output_layers"], names)
    # Calls are counted from 1 where a model inside had one of its own when it was made.
    first: dict[str, int] = {}
    for place in used:
        first[place.name] = min(place.call, first.get(place.name, place.call))
    return [
        _Call(model.get_layer(name), first.get(name, 0) + number, call)
        for name, calls in inputs.items()
        for number, call in enumerate(calls)
    ]


def _nodes(waiting: list[_Call], made: _Made) -> list[Node]:
    """The nodes of all calls, each after its inputs; adds their outputs to `made`."""
    nodes: list[Node] = []
    while waiting:
        left = []
        for call in waiting:
            if any((place.name, place.call) not in made for place in call.inputs):
                left.append(call)
                continue
            added, outputs = _use(call.layer, [_output(made, place) for place in call.inputs])
            made[call.layer.name, call.number] = outputs
            nodes += added
        if len(left) == len(waiting):
            raise ValueError(f"layer {left[0].layer.name!r} takes what no layer gives")
        waiting = left
    return nodes


def _output(made: _Made, place: _Reference) -> Node:
    outputs = made[place.name, place.call]
    # A layer of several outputs is one node; a model inside has a node for each.
    return outputs[min(place.output, len(outputs) - 1)]


def _references(value: Any, names: set[str]) -> Iterator[_Reference]:
    # A tensor is ["name", 0, 0] or ["name", 0, 0, {arguments}]; arguments may be tensors too.
    if isinstance(value, dict):
        # As Keras orders the inputs and outputs of models that name them.
        for key in sorted(value):
            yield from _references(value[key], names)
    elif isinstance(value, (list, tuple)):
        if len(value) >= 3 and isinstance(value[0], str) and value[0] in names:
            yield _Reference(value[0], int(value[1]), int(value[2]))
            value = value[3:]
        for item in value:
            yield from _references(item, names)


def _use(layer: Any, inputs: list[Node]) -> tuple[list[Node], list[Node]]:
    if isinstance(layer, tf.keras.layers.InputLayer):
        return [], inputs
    if isinstance(layer, tf.keras.Model):
        return _flat(layer, inputs)
    node = Node(layer, inputs)
    for given in inputs:
        given.consumers.append(node)
    return [node], [node]
