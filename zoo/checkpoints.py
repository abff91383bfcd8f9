"""Models from the authors' checkpoints: the user's own copy, after the licence is accepted."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.convert import convert_checkpoint, read_checkpoint
from burn_tf.convert.layouts import fitting_layouts
from burn_tf.layers import Rotate180
from zoo.networks import Ends, with_classes

LICENCE = "CC BY-NC 4.0"
LICENCE_VARIABLE = "BURN_TF_ACCEPT_LICENSE"
IMAGE_SIZE = 224
# A zip archive, a pickle, and either of them in xz.
_TORCH_STARTS = (b"PK\x03\x04", b"\x80", b"\xfd7zXZ")


def explain_imagenet() -> UserError:
    """Why `weights="imagenet"` gives none, and how to use them all the same."""
    return UserError(
        "the ImageNet weights of BURN's, ReActNet's, S2-BNN's and MoCo's authors are under "
        f"{LICENCE} (no commercial use) and are not part of this package: get the file from its "
        "authors and pass its path or address, weights='path/to/burn_stage2.pth', with "
        f"accept_license='{LICENCE}'. Received: weights='imagenet'"
    )


def check_licence(accepted: str | None) -> None:
    """Raise unless the user has accepted the licence, here or in the environment.

    Raises:
        UserError: it is not, or another one is named.
    """
    stated = os.environ.get(LICENCE_VARIABLE) if accepted is None else accepted
    if stated is None or _normal(stated) != _normal(LICENCE):
        raise UserError(
            f"the authors' checkpoints are under {LICENCE} (no commercial use): if that suits you, "
            f"pass accept_license='{LICENCE}' or set {LICENCE_VARIABLE}; a checkpoint of your own "
            f"goes through burn_tf.convert.convert_checkpoint. Received: {stated!r}"
        )


def is_known_checkpoint(path: Path) -> bool:
    """Whether a file is a checkpoint of a known layout; also where only PyTorch could tell."""
    try:
        return bool(fitting_layouts(read_checkpoint(path).tensors))
    except UserError:
        with open(path, "rb") as file:
            start = file.read(8)
        return start.startswith(_TORCH_STARTS) and importlib.util.find_spec("torch") is None


def model_from_checkpoint(path: Path, family: str, ends: Ends, name: str) -> tf.keras.Model:
    """The network in a PyTorch checkpoint, ending as asked. Its settings are the file's.

    Args:
        path: of the file.
        family: builder that the network must be of, such as "reactnet_a".
        ends: what it takes (224 px where that is not said) and gives.
        name: of the model.

    Raises:
        UserError: what `convert_checkpoint` refuses; another network; channels other than three.
    """
    height, width, channels = ends.shape(IMAGE_SIZE)
    if channels != 3:
        raise UserError(
            "`input_shape` must have three channels for a PyTorch checkpoint. "
            f"Received: {ends.input_shape}"
        )
    size = None if height is None or width is None else (height, width)
    top = None if ends.include_top else False
    converted = convert_checkpoint(path, input_size=size, include_top=top)
    if converted.backbone.name != family:
        raise UserError(
            f"{str(path)!r} must hold a {family}: give the name or builder of what it holds. "
            f"Received: {converted.backbone.name} in layout {converted.layout!r}"
        )
    print(f"zoo: {path} has layout {converted.layout!r}", file=sys.stderr)
    return _with_ends(converted.backbone, ends, name)


def _normal(licence: str) -> str:
    return "".join(letter for letter in licence.lower() if letter.isalnum())


def _with_ends(backbone: tf.keras.Model, ends: Ends, name: str) -> tf.keras.Model:
    """The network up to where it is asked to end; a new top where another one is asked for."""
    layers = {layer.name: layer for layer in backbone.layers}
    features = layers.get("embedding_relu", layers["pool"]).output
    if ends.include_top:
        trained = layers["logits"].units if "logits" in layers else None
        classes = with_classes(ends, trained, name).classes
        if classes == trained:
            output = layers["logits"].output
        else:
            output = tf.keras.layers.Dense(classes, name="logits")(features)
    elif ends.pooling == "avg":
        output = features
    else:
        output = _map_or_maximum(layers, ends.pooling)
    return tf.keras.Model(backbone.input, output, name=name)


def _map_or_maximum(layers: dict[str, tf.keras.layers.Layer], pooling: str | None) -> tf.Tensor:
    feature_map = layers["pool"].input
    if pooling == "max":
        return tf.keras.layers.GlobalMaxPooling2D(name="pool")(feature_map)
    # Converted binary networks turn their images; a map has to lie as the image does.
    turned = any(isinstance(layer, Rotate180) for layer in layers.values())
    return Rotate180(name="turn_back")(feature_map) if turned else feature_map
