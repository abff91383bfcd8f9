"""What all backbones share: input, pooling, top, width and the loading of weights."""

from __future__ import annotations

import os

import tensorflow as tf

from burn_tf._checks import UserError, check_choice, check_integer, check_range

POOLINGS = (None, "avg", "max")


def scaled_channels(channels: int, width: float) -> int:
    """`channels * width` rounded to a multiple of 8, at least 8."""
    return max(8, int(channels * width / 8 + 0.5) * 8)


def make_input(input_shape: tuple[int | None, ...] | None) -> tf.Tensor:
    """Symbolic image input; `None` means any height and width with three channels."""
    shape = (None, None, 3) if input_shape is None else tuple(input_shape)
    if len(shape) != 3 or shape[-1] is None:
        raise UserError(
            f"`input_shape` must be (height, width, channels). Received: {input_shape!r}"
        )
    return tf.keras.Input(shape, name="images")


def check_common(pooling: str | None, classes: int, width: float) -> None:
    """Refuse what no backbone accepts."""
    check_choice("pooling", pooling, POOLINGS)
    check_integer("classes", classes, low=1)
    check_range("width", width, low=0, low_open=True)


def _wide_dtype() -> str | None:
    """float32 under half-precision policies, for losses and probes; else the policy's own."""
    compute = tf.as_dtype(tf.keras.mixed_precision.global_policy().compute_dtype)
    return "float32" if compute.size < 4 else None


def add_top(
    x: tf.Tensor,
    include_top: bool,
    pooling: str | None,
    classes: int,
    classifier_activation: str | None = None,
    embedding_units: int | None = None,
) -> tf.Tensor:
    """Pool, embed and classify as asked, in float32 where the policy computes in half precision."""
    dtype = _wide_dtype()
    if include_top or embedding_units is not None:
        pooling = pooling or "avg"
    if pooling is not None:
        kind = {"avg": "GlobalAveragePooling2D", "max": "GlobalMaxPooling2D"}[pooling]
        x = getattr(tf.keras.layers, kind)(dtype=dtype, name="pool")(x)
    if embedding_units is not None:
        check_integer("embedding_units", embedding_units, low=1)
        x = tf.keras.layers.Dense(embedding_units, dtype=dtype, name="embedding")(x)
        x = tf.keras.layers.ReLU(dtype=dtype, name="embedding_relu")(x)
    if include_top:
        x = tf.keras.layers.Dense(
            classes, activation=classifier_activation, dtype=dtype, name="logits"
        )(x)
    return x


def _copy_by_name(model: tf.keras.Model, source: tf.keras.Model, path: str) -> None:
    """Every layer of `model` must find its weights; a top that it lacks may be left over."""
    found = {layer.name: layer.get_weights() for layer in source.layers}
    for layer in model.layers:
        shapes = [tuple(weight.shape) for weight in layer.weights]
        received = [value.shape for value in found.get(layer.name, [])]
        if shapes != received:
            raise UserError(
                f"`weights` {path!r} do not fit layer {layer.name!r}, whose shapes are {shapes}. "
                f"Received: {received}"
            )
        layer.set_weights(found.get(layer.name, []))


def load_weights(model: tf.keras.Model, weights: str | os.PathLike[str] | None) -> tf.keras.Model:
    """Fill `model` from a saved model (`.keras`, `.h5`, SavedModel) or from a `.weights.h5`."""
    if weights is None:
        return model
    path = os.fspath(weights)
    if not os.path.exists(path):
        raise UserError(f"`weights` must be None or the path of a file. Received: {path!r}")
    if path.endswith(".weights.h5"):
        model.load_weights(path)
    else:
        _copy_by_name(model, tf.keras.models.load_model(path, compile=False), path)
    return model
