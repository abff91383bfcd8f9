"""Reads a checkpoint into named arrays. Nothing in the file is executed."""

from __future__ import annotations

import dataclasses
import importlib
import io
import lzma
import os
import re
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from burn_tf._checks import UserError
from burn_tf._files import read_whole
from burn_tf.convert.safetensors import parse_safetensors

Fact = str | int | float

_XZ_MAGIC = b"\xfd7zXZ\x00"
_ZIP_MAGIC = b"PK\x03\x04"
_PICKLE_MAGIC = b"\x80"
_HDF5_MAGIC = b"\x89HDF"
# What the zip archive of a .keras file begins with.
_KERAS_MEMBERS = (b"metadata.json", b"config.json")
# Wrappers that say nothing about the network: nn.DataParallel's and the usual nesting.
_WRAPPERS = frozenset({"module", "state_dict"})
_DEEPEST = 16


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint file holds.

    Args:
        tensors: arrays by dotted name, without the parts `module` and `state_dict`.
        facts: the plain numbers and texts beside them, such as the epoch, by dotted name.
        source: the file's path, for messages.
    """

    tensors: dict[str, np.ndarray]
    facts: dict[str, Fact]
    source: str


def read_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """The tensors of a PyTorch or `.safetensors` checkpoint, whatever its name ends in.

    PyTorch files are read with `weights_only=True`: one that would run code is refused before it
    does. Nested dictionaries become dotted names.

    Args:
        path: `.pth`, `.pt`, `.pth.tar` (needs PyTorch), `.safetensors`, or either of them in `.xz`.

    Returns:
        Tensors (float16 and bfloat16 widened to float32) and facts.

    Raises:
        UserError: no such file; not whole; neither of the two formats; code in it; values that are
            not finite; PyTorch needed and not installed.
    """
    source = os.fspath(path)
    content = read_whole(path)
    if content.startswith(_XZ_MAGIC):
        content = _decompressed(content, source)
    return _gathered(_tree(content, source), source)


def _not_whole(source: str, reason: str) -> UserError:
    return UserError(
        f"{source!r} is not a whole checkpoint: get it again or check that it is the right file. "
        f"Received: {reason}"
    )


def _decompressed(content: bytes, source: str) -> bytes:
    try:
        return lzma.decompress(content)
    except lzma.LZMAError as error:
        raise _not_whole(source, str(error)) from error


def _tree(content: bytes, source: str) -> Any:
    """The nested values of a file, recognised by its first bytes and not by its name."""
    if content.startswith(_ZIP_MAGIC) and content[30:64].startswith(_KERAS_MEMBERS):
        raise UserError(
            f"{source!r} must be a PyTorch or .safetensors checkpoint. Received: a Keras model, "
            "which tf.keras.models.load_model reads as it is"
        )
    if content.startswith((_ZIP_MAGIC, _PICKLE_MAGIC)):
        return _torch_tree(content, source)
    if content[8:9] == b"{":
        tensors, metadata = parse_safetensors(content, source)
        return {**metadata, **tensors}
    kind = "an HDF5 file" if content.startswith(_HDF5_MAGIC) else f"{len(content)} bytes of another"
    raise UserError(
        f"{source!r} must be a PyTorch (.pth, .pt) or .safetensors checkpoint, and whole. "
        f"Received: {kind} kind"
    )


def _torch(source: str) -> Any:
    """PyTorch, which is an extra: only its own files need it."""
    try:
        return importlib.import_module("torch")
    except ImportError as error:
        raise UserError(
            f"{source!r} needs PyTorch to be read: pip install 'burn_tf[torch]', or save its "
            "tensors as .safetensors elsewhere. Received: no module torch"
        ) from error


def _torch_tree(content: bytes, source: str) -> Any:
    torch = _torch(source)
    try:
        with warnings.catch_warnings():
            # Of what it warns of, such as an unusual pickle, it then reads or refuses.
            warnings.simplefilter("ignore")
            return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    # A damaged pickle leads torch into exceptions of every class.
    except Exception as error:
        raise _torch_failure(str(error) or type(error).__name__, source) from error


def _torch_failure(message: str, source: str) -> UserError:
    found = re.search(r"GLOBAL ([\w.]+)", message) or re.search(
        r"([Uu]nsupported \w+ \d+)", message
    )
    # The rest of such a message is the advice to switch the protection off.
    if found or "weights only" in message.lower():
        reason = found.group(1) if found else "a pickle that cannot be read safely"
        return UserError(
            f"{source!r} holds more than tensors or is damaged, and nothing in a checkpoint is "
            f"executed: save only its state_dict. Received: {reason}"
        )
    return _not_whole(source, " ".join(message.split())[:200])


def _leaves(
    value: Any, path: tuple[str, ...], source: str
) -> Iterator[tuple[tuple[str, ...], Any]]:
    if len(path) > _DEEPEST:
        raise UserError(
            f"{source!r} must hold tensors in at most {_DEEPEST} levels of dictionaries. "
            f"Received: {'.'.join(path[:4])}.."
        )
    if isinstance(value, dict):
        items = [(str(key), item) for key, item in value.items()]
    elif isinstance(value, (list, tuple)):
        items = [(str(index), item) for index, item in enumerate(value)]
    else:
        yield path, value
        return
    for key, item in items:
        yield from _leaves(item, (*path, key), source)


def _clean(path: tuple[str, ...]) -> str:
    parts = ".".join(path).split(".")
    return ".".join(part for part in parts if part not in _WRAPPERS)


def _array(name: str, value: Any, source: str) -> np.ndarray | None:
    """The array of a tensor, or None for what is no tensor."""
    if hasattr(value, "detach"):
        value = _torch_array(name, value, source)
    if not isinstance(value, np.ndarray):
        return None
    if value.dtype.kind == "f" and not np.isfinite(value).all():
        raise UserError(
            f"{source!r} must hold finite weights: take an earlier checkpoint. "
            f"Received: NaN or infinity in {name!r}"
        )
    return value.astype(np.float32) if value.dtype == np.float16 else value


def _torch_array(name: str, tensor: Any, source: str) -> np.ndarray:
    torch = _torch(source)
    if tensor.layout is not torch.strided or tensor.is_quantized or tensor.is_complex():
        raise UserError(
            f"{source!r} must hold plain tensors. Received: {tensor.layout}, {tensor.dtype} for "
            f"{name!r}"
        )
    tensor = tensor.detach().cpu()
    return (tensor.float() if tensor.dtype is torch.bfloat16 else tensor).contiguous().numpy()


def _gathered(tree: Any, source: str) -> Checkpoint:
    tensors: dict[str, np.ndarray] = {}
    facts: dict[str, Fact] = {}
    for path, value in _leaves(tree, (), source):
        name = _clean(path)
        array = _array(name, value, source)
        if array is None:
            if isinstance(value, (str, int, float)):
                facts[name] = value
        elif name in tensors:
            raise UserError(f"{source!r} must hold every tensor once. Received: {name!r} twice")
        else:
            tensors[name] = array
    if not tensors:
        raise UserError(f"{source!r} must hold tensors. Received: none")
    return Checkpoint(tensors, facts, source)
