"""Names for the weights of a model that stay the same when it is rebuilt."""

from __future__ import annotations

import collections
from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from burn_tf._checks import UserError


def _leaves(layer: tf.keras.layers.Layer, path: str) -> Iterator[tuple[str, tf.keras.layers.Layer]]:
    """The layers of nested models with their paths: "outer/inner"."""
    if not isinstance(layer, tf.keras.Model):
        yield path, layer
        return
    for inner in layer.layers:
        yield from _leaves(inner, f"{path}/{inner.name}" if path else inner.name)


def _own_name(variable: Any, layer: tf.keras.layers.Layer) -> str:
    """The variable's name inside its layer; scopes that the layer was built in do not count."""
    name = variable.name.partition(":")[0]
    _, found, after = f"/{name}".rpartition(f"/{layer.name}/")
    return after if found else name.rpartition("/")[2]


def _layers_by_path(model: tf.keras.Model) -> dict[str, tf.keras.layers.Layer]:
    by_path: dict[str, tf.keras.layers.Layer] = {}
    for path, layer in _leaves(model, ""):
        if by_path.setdefault(path, layer) is not layer:
            raise UserError(f"`model` must have layers of distinct names. Received: two {path!r}")
    return by_path


def named_weights(model: tf.keras.Model) -> dict[str, Any]:
    """Every variable of a model by "layer/weight", in the model's order.

    Layers of nested models are "outer/inner"; further weights of one name in a layer get "_1",
    "_2", ... A layer that occurs twice is named once.

    Raises:
        UserError: the model is not built, two layers share a name, or it has weights outside of
            its layers.
    """
    if not model.built:
        raise UserError(
            "`model` must be built: call it on a batch, or give its first layer an input_shape. "
            f"Received: {model.name!r} without weights"
        )
    named: dict[str, Any] = {}
    for path, layer in _layers_by_path(model).items():
        counts: collections.Counter[str] = collections.Counter()
        for variable in layer.weights:
            name = f"{path}/{_own_name(variable, layer)}"
            if not any(variable is other for other in named.values()):
                named[f"{name}_{counts[name]}" if counts[name] else name] = variable
                counts[name] += 1
    if len(named) != len({id(variable) for variable in model.weights}):
        raise UserError(
            "`model` must have all of its weights in its layers. Received: "
            f"{model.name!r} with {len(model.weights)} weights, {len(named)} of them in layers"
        )
    return named
