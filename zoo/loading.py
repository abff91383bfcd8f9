"""`load`: a working Keras model from a name."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.convert import load_packed_weights
from zoo.checkpoints import (
    check_licence,
    explain_imagenet,
    is_known_checkpoint,
    model_from_checkpoint,
)
from zoo.download import fetch, forget_url, is_url
from zoo.manifest import DEFAULT, Entry, get_entry
from zoo.networks import (
    Ends,
    build_network,
    build_to_fill,
    check_ends,
    optional_layers,
    with_classes,
)
from zoo.weight_files import CHECKPOINT, fill, find_file, kind_of, looks_like_checkpoint

IMAGENET = "imagenet"


def load(
    name: str,
    weights: str | os.PathLike[str] | None = DEFAULT,
    input_shape: tuple[int | None, ...] | None = None,
    include_top: bool = False,
    pooling: str | None = None,
    classes: int | None = None,
    trainable: bool = True,
    *,
    accept_license: str | None = None,
) -> tf.keras.Model:
    """A model of the zoo, ready to be fine-tuned with `fit`.

    Args:
        name: one of `list_models()`.
        weights: "default": those of the card, checked by their SHA-256. None: random. Or the path
            or http(s) address of a file: packed by `burn_tf.convert.save_packed`, saved by Keras,
            or a checkpoint of the papers' authors (needs PyTorch and `accept_license`; its network
            then replaces the card's, at 224 px by default). `#sha256=HEX` at the end of an address
            states what the file must be.
        input_shape: (height, width, channels); None, for height or width, means any. Default: the
            size of pretraining, three channels. With other numbers of channels the first
            convolution is adapted.
        include_top: end in pooling and a Dense layer of `classes`, "logits". Default False.
        pooling: without a top, "avg" gives the features [B, D] that the card speaks of, "max" the
            maxima, None (default, as in Keras Applications) the feature map [B, h, w, D].
        classes: outputs of the top. Default None: those of a trained top; label-free models have
            none, so that a top needs it.
        trainable: False freezes gradients and batch norm statistics. Default True.
        accept_license: "CC BY-NC 4.0", for checkpoints of the papers' authors. Default None: what
            the environment variable BURN_TF_ACCEPT_LICENSE holds.

    Returns:
        A functional model, not compiled, from images as `get_entry(name).preprocess_input` gives
        them.

    Raises:
        UserError: an unknown name, `classes` without a top, weights that are not there, not whole,
            not theirs to use yet, or of another network.

    Example:
        >>> from burn_tf import zoo
        >>> backbone = zoo.load("burn_reactnet_a", pooling="avg")
        >>> backbone.output_shape
        (None, 1024)
    """
    entry = get_entry(name)
    ends = check_ends(input_shape, include_top, pooling, classes)
    variants = [file.variant for file in entry.files]
    if weights is None:
        ends = with_classes(ends, None, f"{name} with random weights")
        model = build_network(entry.network, ends, entry.input.size, name)
    elif weights in variants:
        model = load_entry(entry, ends, name, variant=str(weights))
    else:
        path, kind = open_weights(weights, variants, accept_license)
        if kind == CHECKPOINT:
            model = load_checkpoint(weights, path, entry.network.name, ends, name)
        else:
            ends = with_classes(ends, entry.classes, name)
            model = build_network(entry.network, ends, entry.input.size, name)
            fill(model, path, kind, new_top=True)
    model.trainable = trainable
    return model


def load_entry(
    entry: Entry,
    ends: Ends,
    name: str,
    variant: str = DEFAULT,
    options: Mapping[str, Any] | None = None,
) -> tf.keras.Model:
    """The model of an entry with its own weights.

    Args:
        entry: of the manifest.
        ends: what it takes and gives.
        name: of the model.
        variant: which of its files.
        options: arguments of the builder that are not part of the network.
    """
    ends = with_classes(ends, entry.classes, entry.name)
    path = fetch(entry.file(variant))
    return build_to_fill(
        lambda model: load_packed_weights(model, path, optional=optional_layers(model)),
        lambda: build_network(entry.network, ends, entry.input.size, name, options),
    )


def open_weights(
    weights: str | os.PathLike[str], names: Sequence[str], accept_license: str | None
) -> tuple[Path, str]:
    """The file that the user names, and its kind; a checkpoint only where its licence is accepted.

    Args:
        weights: path or http(s) address.
        names: words that would have meant something else.
        accept_license: of `load`.

    Raises:
        UserError: `weights` is "imagenet", is not there, or is not accepted.
    """
    if weights == IMAGENET:
        raise explain_imagenet()
    if not isinstance(weights, (str, os.PathLike)):
        raise UserError(
            "`weights` must be a name, None, the path of a file or an http(s) address. "
            f"Received: {weights!r}"
        )
    if looks_like_checkpoint(weights):
        # Before a download of what could not be used.
        check_licence(accept_license)
    path = find_file(weights, (*names, IMAGENET))
    kind = kind_of(path)
    if kind == CHECKPOINT:
        check_licence(accept_license)
    return path, kind


def load_checkpoint(
    weights: str | os.PathLike[str], path: Path, family: str, ends: Ends, name: str
) -> tf.keras.Model:
    """`model_from_checkpoint`, which forgets a download that turns out to be of no use."""
    try:
        return model_from_checkpoint(path, family, ends, name)
    except UserError:
        # Other arguments, or PyTorch, may be all that is missing.
        if is_url(os.fspath(weights)) and not is_known_checkpoint(path):
            forget_url(os.fspath(weights))
        raise
