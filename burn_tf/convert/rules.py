"""How the layers of a Keras model are filled from the tensors of a checkpoint.

A rule names the tensors of one layer and how each is arranged; a table has a rule for each layer.
The names are compared as a whole before anything is assigned: every tensor is used exactly once.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from burn_tf.convert.checkpoint import Checkpoint

Shape = tuple[int, ...]
_NAMES_SHOWN = 5


class Arrangement(NamedTuple):
    """From a tensor of the checkpoint to a weight of Keras.

    `source_shape` gives the tensor's shape for the weight's; `arrange` the weight for the tensor
    and the weight's shape.
    """

    source_shape: Callable[[Shape], Shape]
    arrange: Callable[[np.ndarray, Shape], np.ndarray]


def _out_in(shape: Shape) -> Shape:
    height, width, inputs, outputs = shape
    return outputs, inputs, height, width


def _kernel(tensor: np.ndarray, shape: Shape) -> np.ndarray:
    return tensor.reshape(_out_in(shape)).transpose(2, 3, 1, 0)


def _mirrored(tensor: np.ndarray, shape: Shape) -> np.ndarray:
    return _kernel(tensor, shape)[::-1, ::-1]


VECTOR = Arrangement(lambda shape: shape, lambda tensor, shape: tensor)
# The authors keep shifts as [1, channels, 1, 1].
SHIFT = Arrangement(lambda s: (1, *s, 1, 1), lambda tensor, shape: tensor.reshape(shape))
MATRIX = Arrangement(lambda shape: shape[::-1], lambda tensor, shape: tensor.T)
KERNEL = Arrangement(_out_in, _kernel)
MIRRORED_KERNEL = Arrangement(_out_in, _mirrored)
# ReActNet's second step stores a binary kernel as one column.
MIRRORED_COLUMN = Arrangement(lambda shape: (math.prod(shape), 1), _mirrored)
DEPTHWISE_KERNEL = Arrangement(
    lambda s: (s[2], s[3], s[0], s[1]), lambda tensor, shape: tensor.transpose(2, 3, 0, 1)
)


@dataclasses.dataclass(frozen=True)
class Rule:
    """One layer's tensors, in the order of `layer.get_weights()`.

    Args:
        layer: name of the Keras layer.
        tensors: names in the checkpoint, with the arrangement of each.
        counters: tensors that belong to the layer, have no place in Keras and may be absent.
    """

    layer: str
    tensors: tuple[tuple[str, Arrangement], ...]
    counters: tuple[str, ...] = ()


def convolution(layer: str, name: str, arrangement: Arrangement = KERNEL) -> Rule:
    """A kernel without a bias."""
    return Rule(layer, ((name, arrangement),))


def dense(layer: str, prefix: str) -> Rule:
    """torch's Linear: weight and bias."""
    return Rule(layer, ((f"{prefix}.weight", MATRIX), (f"{prefix}.bias", VECTOR)))


def batch_norm(layer: str, prefix: str) -> Rule:
    """torch's BatchNorm; how many batches it saw plays no part in what it computes."""
    names = ("weight", "bias", "running_mean", "running_var")
    tensors = tuple((f"{prefix}.{name}", VECTOR) for name in names)
    return Rule(layer, tensors, (f"{prefix}.num_batches_tracked",))


@dataclasses.dataclass(frozen=True)
class Table:
    """The rules of one model, one for each of its layers that has weights."""

    model: tf.keras.Model
    rules: tuple[Rule, ...]


@dataclasses.dataclass
class Plan:
    """What a layout makes of a checkpoint: networks, their tables, and what is left over.

    Args:
        backbone: the network.
        heads: further networks by name.
        tables: how all of these are filled.
        dropped: tensors that are known and belong to no network here.
        notes: what the user should know.
    """

    backbone: tf.keras.Model
    tables: list[Table]
    heads: dict[str, tf.keras.Model] = dataclasses.field(default_factory=dict)
    dropped: list[str] = dataclasses.field(default_factory=list)
    notes: list[str] = dataclasses.field(default_factory=list)


def rules_for(model: tf.keras.Model, rule: Callable[[str], Rule]) -> Table:
    """A table made by calling `rule` with the name of every layer that has weights."""
    return Table(model, tuple(rule(layer.name) for layer in model.layers if layer.weights))


def listed(names: Iterable[str]) -> str:
    """The first names and how many there are."""
    ordered = sorted(names)
    more = f" and {len(ordered) - _NAMES_SHOWN} more" if len(ordered) > _NAMES_SHOWN else ""
    return ", ".join(ordered[:_NAMES_SHOWN]) + more


def _check_names(tables: Sequence[Table], dropped: Iterable[str], given: Checkpoint) -> str:
    """What is missing and what is left over, or nothing."""
    rules = [rule for table in tables for rule in table.rules]
    wanted = {name for rule in rules for name, _ in rule.tensors}
    counters = {name for rule in rules for name in rule.counters}
    missing = wanted - set(given.tensors)
    unused = set(given.tensors) - wanted - counters - set(dropped)
    faults = [
        f"{len(names)} {fault} ({listed(names)})"
        for fault, names in (("missing", missing), ("unused", unused))
        if names
    ]
    return ", ".join(faults)


def _check_shapes(tables: Sequence[Table], given: Checkpoint) -> str:
    """Tensors whose shape is not that of their layer, or nothing."""
    faults = []
    for table in tables:
        for rule in table.rules:
            weights = table.model.get_layer(rule.layer).weights
            for (name, arrangement), weight in zip(rule.tensors, weights, strict=True):
                wanted = arrangement.source_shape(tuple(weight.shape))
                if given.tensors[name].shape != wanted:
                    found = list(given.tensors[name].shape)
                    faults.append(f"{name} of shape {found} in place of {list(wanted)}")
    return listed(faults)


def check_fit(plan: Plan, given: Checkpoint) -> str:
    """Why `given` does not fit the plan's tables, in words, or an empty text."""
    return _check_names(plan.tables, plan.dropped, given) or _check_shapes(plan.tables, given)


def fill(plan: Plan, given: Checkpoint) -> None:
    """Assign every tensor to its layer, once `check_fit` has nothing to say."""
    for table in plan.tables:
        for rule in table.rules:
            layer = table.model.get_layer(rule.layer)
            layer.set_weights(
                [
                    arrangement.arrange(given.tensors[name], tuple(weight.shape))
                    for (name, arrangement), weight in zip(rule.tensors, layer.weights, strict=True)
                ]
            )
