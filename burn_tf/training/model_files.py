"""Keras models in files that the user names: read, found missing, told apart."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.backbones.identity import feature_key


def load_backbone(path: str | os.PathLike[str]) -> tf.keras.Model:
    """A model saved by `pretrain`, or any Keras model file whose output is [B, D].

    Raises:
        UserError: when the file is missing or not a Keras model.
    """
    check_model_file(path)
    try:
        return tf.keras.models.load_model(path, compile=False)
    except (ValueError, OSError, TypeError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        if str(path).endswith(".h5") and first.startswith("Unknown layer"):
            # Keras 2 writes the registered names of a model inside another, and cannot read them.
            first = "a model inside another one goes lost in .h5 files; save it as .keras"
        raise UserError(f"{path} cannot be read as a Keras model: {first}") from error


def check_model_file(path: str | os.PathLike[str]) -> None:
    """Raise unless something lies at `path`."""
    if not Path(path).exists():
        raise UserError(f"there is no model at {path}: check the path")


def network_digests(networks: Mapping[str, tf.keras.Model]) -> dict[str, str]:
    """SHA-256 of weights and architecture, of networks that have one: a path stands for others.

    A file's own digest would differ each time the same network is saved.
    """
    digests = {name: feature_key(network, {}) for name, network in networks.items()}
    return {name: digest for name, digest in digests.items() if digest is not None}
