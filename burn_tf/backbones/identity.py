"""What a network is, as digests: its weights, and its architecture without its layers' names."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from burn_tf._checks import UserError

# Where a functional model's config refers to its first and last layers by name.
_ENDS = ("input_layers", "output_layers")


def weights_sha256(backbone: Callable[..., tf.Tensor]) -> str | None:
    """SHA-256 of types, shapes and values of all variables in their order; None without variables.

    Example:
        >>> import tensorflow as tf
        >>> from burn_tf.backbones.identity import weights_sha256
        >>> len(weights_sha256(tf.keras.Sequential([tf.keras.layers.Dense(1, input_shape=(2,))])))
        64
    """
    if not isinstance(backbone, tf.keras.Model):
        return None
    state = hashlib.sha256()
    for variable in backbone.weights:
        state.update(f"{variable.dtype.name}{tuple(variable.shape)};".encode())
        state.update(np.ascontiguousarray(variable.numpy()).tobytes())
    return state.hexdigest()


def architecture_sha256(backbone: Callable[..., tf.Tensor]) -> str | None:
    """SHA-256 of a model's config, the same for two models that differ in names alone.

    Keras numbers layers through a process (`dense`, `dense_1`), so that names say nothing.

    Returns:
        The digest, or None for what has no config that says what it computes.
    """
    if not isinstance(backbone, tf.keras.Model) or not _says_what_it_computes(backbone):
        return None
    try:
        # Keras' own JSON turns arrays, types and shapes into what can be compared.
        config = json.loads(backbone.to_json())
    except (NotImplementedError, TypeError, ValueError):
        return None
    # The version of Keras that writes a config does not change what it says.
    plain = {key: config[key] for key in ("class_name", "config")}
    text = json.dumps(_renumbered(_nameless(plain), {}), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def feature_key(backbone: Callable[..., tf.Tensor], facts: Mapping[str, Any]) -> str | None:
    """SHA-256 of a network and of `facts` (JSON types) about its input; None if it has no digest.

    Raises:
        UserError: `facts` holds what JSON cannot.
    """
    weights, architecture = weights_sha256(backbone), architecture_sha256(backbone)
    if weights is None or architecture is None:
        return None
    try:
        text = json.dumps([weights, architecture, dict(facts)], sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise UserError(f"`facts` must be of JSON types ({error}). Received: {facts!r}") from error
    return hashlib.sha256(text.encode()).hexdigest()


def feature_layer(backbone: Callable[..., tf.Tensor]) -> str:
    """Name of the layer, or of the function, whose output the features are."""
    names = getattr(backbone, "output_names", None)
    if isinstance(backbone, tf.keras.Model) and names:
        return ", ".join(str(name) for name in names)
    return backbone_name(backbone)


def backbone_name(backbone: Callable[..., tf.Tensor]) -> str:
    """What a result calls a network."""
    return str(getattr(backbone, "name", getattr(backbone, "__name__", "callable")))


def _says_what_it_computes(model: tf.keras.Model) -> bool:
    """False with code of its own inside: a Lambda layer, or a subclass without a config."""
    parts = [model, *model.submodules]
    return not any(
        isinstance(part, tf.keras.layers.Lambda)
        or getattr(type(part), "get_config", None) is tf.keras.Model.get_config
        for part in parts
    )


def _nameless(node: Any) -> Any:
    """A config whose models have numbers in place of their own and their layers' names."""
    if isinstance(node, list):
        return [_nameless(item) for item in node]
    if not isinstance(node, dict):
        return node
    plain = {key: _nameless(value) for key, value in node.items()}
    return _numbered(plain) if _is_model(node) else plain


def _renumbered(node: Any, numbers: dict[Any, int]) -> Any:
    """A config whose shared objects are numbered from 0, without the shapes it was built with.

    Keras counts the objects through a process, and notes in a `build_config` with what shape a
    layer was built last, which may be another one after each loading.
    """
    if isinstance(node, list):
        return [_renumbered(item, numbers) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        key: numbers.setdefault(value, len(numbers))
        if key == "shared_object_id"
        else _renumbered(value, numbers)
        for key, value in node.items()
        if key != "build_config"
    }


def _is_model(node: dict[str, Any]) -> bool:
    layers = node.get("layers")
    return isinstance(layers, list) and all(
        isinstance(layer, dict) and "class_name" in layer for layer in layers
    )


def _numbered(model: dict[str, Any]) -> dict[str, Any]:
    numbers: dict[str, str] = {}
    layers = []
    for layer in model["layers"]:
        config = dict(layer["config"])
        number = numbers.setdefault(str(config.pop("name", "")), f"#{len(numbers)}")
        layers.append({**layer, "config": config, "name": number})
    for layer in layers:
        if "inbound_nodes" in layer:
            layer["inbound_nodes"] = _renamed(layer["inbound_nodes"], numbers)
    ends = {key: _renamed(model[key], numbers) for key in _ENDS if key in model}
    return {**model, **ends, "layers": layers, "name": ""}


def _renamed(node: Any, numbers: dict[str, str]) -> Any:
    """References renamed; what they carry beside the name (arguments of a call) stays as it is."""
    if isinstance(node, list):
        return [_renamed(item, numbers) for item in node]
    return numbers.get(node, node) if isinstance(node, str) else node
