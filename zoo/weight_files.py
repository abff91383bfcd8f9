"""Fills a network from a file of whatever kind, told by its content."""

from __future__ import annotations

import contextlib
import os
import shutil
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import tensorflow as tf

from burn_tf._checks import UserError, nearest
from burn_tf.backbones.top import load_weights
from burn_tf.convert import load_packed_weights, read_safetensors
from burn_tf.convert.model_config import parse_config
from burn_tf.convert.packed_file import FORMAT as PACKED_FORMAT
from burn_tf.convert.packed_file import read_packed
from zoo.download import fetch_url, is_url
from zoo.networks import optional_layers

PACKED, KERAS, CHECKPOINT = "packed", "keras", "checkpoint"
_HDF5 = b"\x89HDF\r\n\x1a\n"
_ZIP = b"PK\x03\x04"
# What the readers of damaged archives and HDF5 files raise.
_DAMAGE = (
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)
_TORCH_SUFFIXES = (".pth", ".pt", ".tar", ".xz")
# Settings that change what a layer computes and not the shapes of its weights.
_SETTINGS = ("strides", "padding", "pad_values")


def find_file(weights: str | os.PathLike[str], names: Sequence[str]) -> Path:
    """The file that a path or an address means.

    Args:
        weights: path or http(s) address.
        names: words that would have meant something else than a path.

    Raises:
        UserError: there is none, or it cannot be downloaded.
    """
    text = os.fspath(weights)
    if is_url(text):
        return fetch_url(text, find_fault=find_fault)
    path = _existing(text)
    if path is None:
        guess = nearest(text, names)
        hint = f" Did you mean {guess!r}?" if guess else ""
        raise UserError(
            f"`weights` must be {', '.join(map(repr, names))}, None, the path of a file or an "
            f"http(s) address.{hint} Received: {text!r}, which does not exist"
        )
    return path


def _existing(text: str) -> Path | None:
    try:
        path = Path(text).expanduser()
        return path if path.exists() else None
    # An unknown user's home, too long a name, a null byte.
    except (OSError, RuntimeError, ValueError):
        return None


def find_fault(path: Path) -> str | None:
    """What a file lacks to be whole, as far as its own kind of container can tell; None: nothing.

    Args:
        path: a file of any kind.
    """
    with open(path, "rb") as file:
        start = file.read(9)
    try:
        if start.startswith(_ZIP):
            with zipfile.ZipFile(path) as archive:
                torn = archive.testzip()
            return None if torn is None else f"wrong bytes in {torn!r}"
        if start.startswith(_HDF5):
            h5py.File(path, "r").close()
        elif start[8:] == b"{":
            read_safetensors(path)
    except UserError as error:
        return str(error).rpartition("Received: ")[2]
    except _DAMAGE as error:
        return _first_line(error)
    return None


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def looks_like_checkpoint(weights: str | os.PathLike[str]) -> bool:
    """Whether a path or address names a PyTorch file, before there is one to look into."""
    return os.fspath(weights).partition("#")[0].partition("?")[0].endswith(_TORCH_SUFFIXES)


def kind_of(path: Path) -> str:
    """PACKED (`burn_tf.convert.save_packed`), KERAS, or CHECKPOINT for anything else.

    Raises:
        UserError: a file that is cut off or damaged.
    """
    if path.is_dir():
        return KERAS
    fault = find_fault(path)
    if fault is not None:
        raise UserError(f"{str(path)!r} is cut off or damaged: get it again. Received: {fault}")
    with open(path, "rb") as file:
        start = file.read(9)
    if start.startswith(_ZIP):
        with zipfile.ZipFile(path) as archive:
            return KERAS if "config.json" in archive.namelist() else CHECKPOINT
    if start.startswith(_HDF5):
        return KERAS
    if start[8:] == b"{" and read_safetensors(path)[1].get("format") == PACKED_FORMAT:
        return PACKED
    return CHECKPOINT


def fill(model: tf.keras.Model, path: Path, kind: str, new_top: bool) -> None:
    """Give `model` the weights of a packed or a Keras file.

    Args:
        model: to be filled.
        path: of the file.
        kind: of the file, PACKED or KERAS.
        new_top: a top that the file lacks keeps its random weights. A Keras file must have it.

    Raises:
        UserError: the file does not fit the model, or cannot be read.
    """
    if kind == PACKED:
        check_settings(model, _stored_configs(path), repr(str(path)))
        left = load_packed_weights(model, path, optional=optional_layers(model))
        if left and not new_top:
            raise UserError(
                f"{str(path)!r} has no classifier: give classes=N for a new one, or "
                f"include_top=False. Received: include_top=True"
            )
        return
    try:
        _refuse_code(path)
        with _with_suffix(path) as named:
            load_weights(model, named)
    except UserError:
        raise
    except _DAMAGE as error:
        raise UserError(
            f"{str(path)!r} cannot be read as a Keras model: get it again or save it again. "
            f"Received: {_first_line(error)}"
        ) from error


@contextlib.contextmanager
def _with_suffix(path: Path) -> Iterator[Path]:
    """The file under a name by which Keras knows an archive for its own."""
    if path.suffix == ".keras" or not zipfile.is_zipfile(path):
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        named = Path(folder) / "model.keras"
        shutil.copyfile(path, named)
        yield named


def _refuse_code(path: Path) -> None:
    """Raise before Keras runs what the file of a model says: a Lambda layer, a foreign class.

    Raises:
        UserError: its configuration names code.
    """
    config = None if path.is_dir() else _configuration(path)
    if config is None:
        return
    try:
        parse_config(config)
    except UserError as error:
        raise UserError(f"{str(path)!r} cannot be loaded: {error}") from error


def _configuration(path: Path) -> str | None:
    """What a .keras or HDF5 file says its model is; None for weights alone."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            return archive.read("config.json").decode()
    with h5py.File(path, "r") as file:
        stored = file.attrs.get("model_config")
    return stored.decode() if isinstance(stored, bytes) else stored


def check_settings(
    model: tf.keras.Model, stored: Mapping[str, Mapping[str, Any]], what: str
) -> None:
    """Refuse weights whose network computes something else though their shapes are the same.

    Args:
        model: to be filled.
        stored: configurations of the layers that the weights were trained in, by name.
        what: the weights, for the message.

    Raises:
        UserError: a stride, padding or pad value differs.
    """
    for layer in model.layers:
        own, other = layer.get_config(), stored.get(layer.name, {})
        for key in _SETTINGS:
            if key in own and key in other and _plain(own[key]) != _plain(other[key]):
                raise UserError(
                    f"{what} was trained with {key}={other[key]} in layer {layer.name!r}: build "
                    f"the network with that. Received: {own[key]}"
                )


def _stored_configs(path: Path) -> dict[str, dict[str, Any]]:
    layers = read_packed(path).config["config"].get("layers", ())
    return {layer["config"]["name"]: layer["config"] for layer in layers}


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, (list, tuple)) else value
