"""A Keras model's configuration as JSON that can be rebuilt without running anything in it.

Keras' own loader imports whatever module a configuration names, and revives functions from byte
code. Here only built-in layers and registered classes pass, on the way out and on the way in.
"""

from __future__ import annotations

import json
import warnings
from typing import Any

import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf._compat import is_functional

# Their configuration is code, or the name of any function.
_CODE = {
    "ClassMethod",
    "InstanceMethod",
    "InstanceProperty",
    "Lambda",
    "SlicingOpLambda",
    "TFOpLambda",
    "TFSMLayer",
    "TensorFlowOpLayer",
    "__lambda__",
    "__typespec__",
    "function",
}
_VALUES = {"TensorShape", "__bytes__", "__numpy__", "__tensor__"}
# An optimizer and losses; shapes that follow from the input's, and that Larq gets wrong.
_BY_THE_WAY = ("compile_config", "build_config")
_MODELS = {"Functional": "Model", "Model": "Model", "Sequential": "Sequential"}
_KERAS_MODULES = (
    "keras.layers",
    "keras.initializers",
    "keras.regularizers",
    "keras.constraints",
    "keras.mixed_precision",
)
_ZEROS: dict[str, Any] = {
    "module": "keras.initializers",
    "class_name": "Zeros",
    "config": {},
    "registered_name": None,
}


def _is_builtin(class_name: str, module: str | None) -> bool:
    """Whether it is a class, not a function, of one of the public modules of Keras."""
    for name in _KERAS_MODULES if module is None else {module} & set(_KERAS_MODULES):
        namespace = getattr(tf.keras, name.removeprefix("keras."))
        if isinstance(getattr(namespace, class_name, None), type):
            return True
    return False


def _code_refused(received: str) -> UserError:
    return UserError(
        "a packed model must be made of layers, not of code: put the operation into a layer "
        "registered with tf.keras.utils.register_keras_serializable. "
        f"Received: {received!r}"
    )


def _registered(node: dict[str, Any]) -> Any:
    """The class or function that Keras takes for a node before it looks for a module."""
    is_function = node["class_name"] == "function"
    name = node.get("config") if is_function else node.get("registered_name") or node["class_name"]
    return tf.keras.saving.get_registered_object(name) if isinstance(name, str) else None


def _check_class(node: dict[str, Any]) -> None:
    class_name, module = str(node["class_name"]), node.get("module")
    is_registered = _registered(node) is not None
    if class_name in _CODE and not (is_registered and class_name == "function"):
        raise _code_refused(class_name)
    if class_name in _VALUES or is_registered or _is_builtin(class_name, module):
        return
    raise UserError(
        "a packed model must be made of Keras' own layers and of classes registered with "
        "tf.keras.utils.register_keras_serializable; import the module that registers yours. "
        f"Received: class {class_name!r} of {module!r}"
    )


def _portable(node: Any) -> Any:
    """A copy in which models have their public names, or an error if anything else is not known."""
    if isinstance(node, (list, tuple)):
        return [_portable(item) for item in node]
    if not isinstance(node, dict):
        return node
    if "class_name" not in node:
        return {key: _portable(value) for key, value in node.items()}
    copy = {key: _portable(value) for key, value in node.items() if key not in _BY_THE_WAY}
    kind = copy["class_name"]
    if kind in _MODELS and copy.get("registered_name") in (None, kind):
        public = {"module": "keras", "class_name": _MODELS[kind], "registered_name": None}
        return copy | public
    _check_class(copy)
    return copy


def model_to_json(model: tf.keras.Model) -> str:
    """The architecture of a functional or sequential model, nested ones included, as JSON.

    Raises:
        UserError: a model with code of its own, or a class that is not registered.
    """
    try:
        if not (is_functional(model) or isinstance(model, tf.keras.Sequential)):
            raise TypeError("a model with code of its own")
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message="(?s).*includes a `lambda`")
            config = tf.keras.saving.serialize_keras_object(model)
    except UserWarning as error:
        raise _code_refused("lambda") from error
    except (NotImplementedError, TypeError, ValueError) as error:
        raise UserError(
            "`model` must be functional or sequential; of a training method pass its backbone. "
            f"Received: {type(model).__name__} {model.name!r}"
        ) from error
    return json.dumps(_portable(config), separators=(",", ":"))


def _is_model(config: Any) -> bool:
    if not isinstance(config, dict) or not isinstance(config.get("config"), dict):
        return False
    if config.get("class_name") in _MODELS:
        return True
    kind = _registered(config) if "class_name" in config else None
    return isinstance(kind, type) and issubclass(kind, tf.keras.Model)


def parse_config(text: str) -> dict[str, Any]:
    """The configuration in `model_to_json`'s text, checked.

    Raises:
        UserError: no such configuration, or one that names code or a class that is not registered.
    """
    try:
        config = _portable(json.loads(text))
    except (json.JSONDecodeError, RecursionError) as error:
        raise UserError(f"the model's configuration cannot be read. Received: {error}") from error
    if not _is_model(config):
        raise UserError("the configuration must be that of a model. Received: something else")
    return config


def _without_random_kernels(node: Any, found: dict[str, Any]) -> Any:
    """A copy whose binary kernels start as zeros; `found` gets what they would have started as."""
    if isinstance(node, list):
        return [_without_random_kernels(item, found) for item in node]
    if not isinstance(node, dict):
        return node
    copy = {key: _without_random_kernels(value, found) for key, value in node.items()}
    name = str(copy["config"].get("name")) if isinstance(copy.get("config"), dict) else ""
    if copy.get("registered_name") == "burn_tf>BinaryConv2D" and name not in found:
        found[name] = copy["config"].get("kernel_initializer")
        copy["config"]["kernel_initializer"] = _ZEROS
    return copy


def build_model(config: dict[str, Any]) -> tf.keras.Model:
    """The model of a parsed configuration; its weights are about to be replaced.

    Raises:
        UserError: Keras cannot build it.
    """
    # Random values for 28 million binary weights would take 0.8 of 2 seconds.
    initializers: dict[str, Any] = {}
    quick = _without_random_kernels(config, initializers)
    try:
        model = tf.keras.saving.deserialize_keras_object(quick)
        for layer in model.submodules:
            if layer.name in initializers and hasattr(layer, "kernel_initializer"):
                original = tf.keras.initializers.deserialize(initializers[layer.name])
                layer.kernel_initializer = original
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        first_line = str(error).strip().partition("\n")[0]
        raise UserError(
            f"the configuration cannot be built: was it changed by hand? Received: {first_line}"
        ) from error
    return model


def input_channels(config: dict[str, Any]) -> int | None:
    """Channels of the images that the model of a parsed configuration takes, if they are told."""
    for layer in config["config"].get("layers", ()):
        shape = layer["config"].get("batch_input_shape")
        if shape:
            return None if shape[-1] is None else int(shape[-1])
    return None
