"""What is checked and changed in a model before it is converted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np
import tensorflow as tf

from burn_tf._checks import UserError, check_sides
from burn_tf._compat import quantized_scope
from burn_tf.export.binary_layers import binary_layers, quantised_kernel, variable_key


@runtime_checkable
class Exportable(Protocol):
    """What is no Keras model but has one made for files, such as a detector."""

    class_names: tuple[str, ...]

    def exported_model(self) -> tf.keras.Model:
        """The model whose outputs a file gives."""


def keras_model(model: Any) -> Any:
    """The Keras model to export: the argument, or what a detector makes of itself."""
    if isinstance(model, tf.keras.Model) or not isinstance(model, Exportable):
        return model
    return model.exported_model()


def own_labels(model: Any) -> tuple[str, ...] | None:
    """The names of a detector's classes; None of a Keras model."""
    return None if isinstance(model, tf.keras.Model) else getattr(model, "class_names", None)


def check_exportable(model: Any) -> None:
    """Raise unless `model` is a built Keras model with binary layers and finite weights."""
    if not isinstance(model, tf.keras.Model):
        raise UserError(
            "`model` must be a tf.keras.Model: load a file with tf.keras.models.load_model. "
            f"Received: {type(model).__module__}.{type(model).__name__}"
        )
    if not getattr(model, "inputs", None) or len(model.inputs) != 1:
        count = len(getattr(model, "inputs", None) or ())
        raise UserError(
            "`model` must be functional or sequential with one image input; of a training method "
            f"export its backbone. Received: {type(model).__name__} with {count} symbolic inputs"
        )
    if model.inputs[0].shape[0] not in (None, 1):
        raise UserError(
            "`model` must take one image, or any number: build it without batch_size=. "
            f"Received: a model for batches of {model.inputs[0].shape[0]}"
        )
    if not binary_layers(model):
        raise UserError(
            "`model` must have binary layers: burn_tf.layers.BinaryConv2D or a larq.layers one. "
            f"Received: {model.name!r} with none"
        )
    _check_finite(model)


def _check_finite(model: tf.keras.Model) -> None:
    for variable in model.variables:
        if variable.dtype.is_floating and not bool(tf.reduce_all(tf.math.is_finite(variable))):
            raise UserError(
                "`model` must have finite weights: go back to an earlier checkpoint. "
                f"Received: NaN or infinity in {variable.name!r}"
            )


def input_shape(
    model: tf.keras.Model, input_size: int | tuple[int, int] | None
) -> tuple[int, int, int]:
    """Height, width and channels of the model's input; unknown sides come from `input_size`."""
    shape = tuple(model.input_shape)
    if len(shape) != 4 or shape[3] is None:
        raise UserError(
            f"`model` must take images [batch, H, W, channels]. Received: input {shape}"
        )
    asked = shape[1:3] if input_size is None else check_sides("input_size", input_size)
    if None in asked:
        raise UserError(
            "a file has one image size: pass input_size=, for example input_size=224. "
            f"Received: a model with input {shape}"
        )
    if any(own not in (None, side) for own, side in zip(shape[1:3], asked, strict=True)):
        raise UserError(
            f"`input_size` must be that of the model, {shape[1:3]}. Received: {input_size!r}"
        )
    return int(asked[0]), int(asked[1]), int(shape[3])


def _rewritten(config: Any, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Any:
    """A copy of a model's configuration with `change` applied to every dictionary in it."""
    if isinstance(config, (list, tuple)):
        return type(config)(_rewritten(item, change) for item in config)
    if not isinstance(config, dict):
        return config
    return change({key: _rewritten(value, change) for key, value in config.items()})


def rebuilt_model(
    model: tf.keras.Model,
    change: Callable[[dict[str, Any]], dict[str, Any]],
    value: Callable[[tf.Variable], np.ndarray],
) -> tf.keras.Model:
    """A copy of `model` with another configuration and other weights.

    Args:
        model: functional or sequential.
        change: what every dictionary of its configuration becomes.
        value: what every weight becomes.
    """
    # A plain functional model over the same layers has a configuration that its class can read.
    plain = tf.keras.Model(model.inputs, model.outputs, name=model.name)
    try:
        copy = tf.keras.Model.from_config(_rewritten(plain.get_config(), change))
    except (TypeError, ValueError, NotImplementedError) as error:
        first_line = str(error).strip().partition("\n")[0]
        raise UserError(
            "`model` must have layers that Keras can save and load: register a class of your own, "
            f"write a Lambda as a layer. Received: {first_line}"
        ) from error
    with quantized_scope(False):
        copy.set_weights([value(variable) for variable in plain.weights])
    return copy


def float32_values(variable: tf.Variable) -> np.ndarray:
    """A variable of any dtype as float32."""
    return np.asarray(tf.cast(variable, tf.float32))


def _float32_policy(config: dict[str, Any]) -> dict[str, Any]:
    dtype = config.get("dtype")
    name = dtype["config"]["name"] if isinstance(dtype, dict) else dtype
    return config | {"dtype": "float32"} if "float" in str(name) else config


def float32_model(model: tf.keras.Model) -> tuple[tf.keras.Model, tuple[str, ...]]:
    """The model itself, or a float32 copy of one in mixed precision and a note that says so."""
    layers = [layer for layer in model.submodules if isinstance(layer, tf.keras.layers.Layer)]
    policies = {str(layer.dtype_policy.name) for layer in [model, *layers]} - {"float32"}
    floating = sorted(name for name in policies if "float" in name)
    if not floating:
        return model, ()
    rebuilt = rebuilt_model(model, _float32_policy, float32_values)
    return rebuilt, (f"rebuilt in float32; the model itself computes in {', '.join(floating)}",)


def frozen_model(
    model: tf.keras.Model, weights: Mapping[int, np.ndarray] | None = None
) -> tf.keras.Model:
    """A copy in which the kernels of binary convolutions hold their quantised values.

    The converter folds the quantiser into a constant only up to some size: of ReActNet-A the ten
    kernels with more than half a million values would stay float.

    Args:
        model: functional or sequential.
        weights: new values of other weights by `variable_key`, as `folded_weights` gives them.
    """
    layers = [layer for layer in binary_layers(model) if quantised_kernel(layer) is not None]
    names = {layer.name for layer in layers}
    values = {variable_key(layer.kernel): quantised_kernel(layer) for layer in layers}
    values |= weights or {}

    def change(config: dict[str, Any]) -> dict[str, Any]:
        if config.get("name") not in names:
            return config
        real = {"kernel_quantizer": None, "binarize": "activations"}
        return config | {key: value for key, value in real.items() if key in config}

    def value(variable: tf.Variable) -> np.ndarray:
        new = values.get(variable_key(variable))
        return float32_values(variable) if new is None else new.astype(np.float32, copy=False)

    return rebuilt_model(model, change, value)


def float_weight_bytes(model: tf.keras.Model) -> int:
    """Size of all variables in float32."""
    return 4 * sum(int(variable.shape.num_elements()) for variable in model.variables)
