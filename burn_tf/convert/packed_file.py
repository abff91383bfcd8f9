"""Files with one bit per binary weight: version 1 of the format `burn_tf.packed`.

A packed file is a valid `.safetensors` file, so any reader of that format opens it. Its arrays:

    LAYER/kernel:bits    uint8 [ceil(n / 8)]: the signs of a binary kernel's n weights in C order of
                         [kh, kw, in, out], the first in the lowest bit; 1 is +, 0 is -
    LAYER/kernel:scale   float32 [out], >= 0; the weight is its sign times the scale of its filter
    LAYER/NAME           every other weight; float16 where that was asked for and can hold it

A LAYER inside a nested model is "OUTER/INNER". The texts of its `__metadata__`:

    format, version      "burn_tf.packed", "1"
    sha256               of the whole file, with these 64 characters replaced by zeros
    model                the configuration of the Keras model: JSON, deflated (zlib), in base64
    kernel_shapes        {"LAYER/kernel": [kh, kw, in, out], ..}, JSON
    user                 what the writer added, {"key": "text", ..}, JSON
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import os
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from burn_tf._checks import UserError
from burn_tf._files import read_whole
from burn_tf.convert.binary_kernels import BinaryKernel, pack_bits, unpack_bits
from burn_tf.convert.model_config import parse_config
from burn_tf.convert.safetensors import parse_safetensors, safetensors_bytes

FORMAT = "burn_tf.packed"
VERSION = 1

_BITS, _SCALE = ":bits", ":scale"
_NO_HASH = "0" * 64
_VERSION_DIGITS = 9
# A hundred times ReActNet-A's: a few bytes must not unfold into all of the memory.
_MAX_CONFIG_BYTES = 8_000_000


def check_texts(metadata: Mapping[str, str] | None) -> dict[str, str]:
    """A copy of `metadata`, if it is texts by name."""
    texts = dict(metadata or {})
    if not all(isinstance(item, str) for pair in texts.items() for item in pair):
        raise UserError(f"`metadata` must map texts to texts. Received: {texts!r}")
    return texts


def packed_bytes(
    config: str,
    kernels: Mapping[str, BinaryKernel],
    others: Mapping[str, np.ndarray],
    user: Mapping[str, str],
) -> bytes:
    """The bytes of a packed file.

    Args:
        config: of the model, JSON.
        kernels: the binary kernels by name.
        others: every other weight by name.
        user: texts to keep.
    """
    tensors = dict(others)
    for name, kernel in kernels.items():
        tensors[name + _BITS] = pack_bits(kernel.positive)
        tensors[name + _SCALE] = kernel.scale
    texts = {
        "format": FORMAT,
        "version": str(VERSION),
        "sha256": _NO_HASH,
        "model": base64.b64encode(zlib.compress(config.encode(), level=9)).decode(),
        "kernel_shapes": json.dumps({name: k.positive.shape for name, k in kernels.items()}),
        "user": json.dumps(check_texts(user), sort_keys=True),
    }
    digest = hashlib.sha256(safetensors_bytes(tensors, texts)).hexdigest()
    return safetensors_bytes(tensors, texts | {"sha256": digest})


@dataclasses.dataclass(frozen=True)
class PackedFile:
    """What a packed file says: arrays, checked configuration of the model, kernel shapes, texts."""

    path: str
    tensors: dict[str, np.ndarray]
    config: dict[str, Any]
    kernel_shapes: dict[str, tuple[int, ...]]
    user: dict[str, str]

    def is_binary(self, name: str) -> bool:
        """Whether the weight of this name is stored as bits."""
        return name in self.kernel_shapes

    def names(self) -> list[str]:
        """Of all weights."""
        parts = {name + end for name in self.kernel_shapes for end in (_BITS, _SCALE)}
        return [*self.kernel_shapes, *(name for name in self.tensors if name not in parts)]

    def value(self, name: str) -> np.ndarray:
        """The weight of this name; a binary kernel as sign x scale."""
        if not self.is_binary(name):
            return self.tensors[name]
        shape, scale = self.kernel_shapes[name], self.tensors[name + _SCALE]
        if scale.dtype != np.float32 or scale.shape != shape[-1:]:
            raise _broken(self.path, f"scales of {name!r} of shape {scale.shape}")
        return BinaryKernel(unpack_bits(self.tensors[name + _BITS], shape), scale).latent()


def _broken(path: str, reason: str) -> UserError:
    return UserError(
        f"{path!r} is damaged: get it again or save the model again. Received: {reason}"
    )


def _check_version(path: str, metadata: Mapping[str, str]) -> None:
    if metadata.get("format") != FORMAT:
        raise UserError(
            f"{path!r} must be a file written by burn_tf.convert.save_packed; other checkpoints go "
            f"through burn_tf.convert.convert_checkpoint. Received: format "
            f"{metadata.get('format')!r}"
        )
    version = metadata.get("version", "")
    if not version.isdecimal() or len(version) > _VERSION_DIGITS:
        raise _broken(path, f"version {version!r}")
    if int(version) > VERSION:
        raise UserError(
            f"{path!r} is of a newer format: pip install --upgrade burn_tf. "
            f"Received: version {version}, known up to {VERSION}"
        )


def _check_hash(path: str, content: bytes, metadata: Mapping[str, str]) -> None:
    claimed = metadata.get("sha256", "")
    zeroed = content.replace(claimed.encode(), _NO_HASH.encode(), 1) if claimed else content
    found = hashlib.sha256(zeroed).hexdigest()
    if found != claimed:
        raise _broken(path, f"SHA-256 {found[:12]}.., where the file says {claimed[:12]}..")


def _inflated(text: str) -> str:
    inflater = zlib.decompressobj()
    config = inflater.decompress(base64.b64decode(text, validate=True), _MAX_CONFIG_BYTES)
    if not inflater.eof:
        raise ValueError("a configuration that is cut off or too long")
    return config.decode()


def _shapes(text: str) -> dict[str, tuple[int, ...]]:
    shapes = {name: tuple(map(int, shape)) for name, shape in json.loads(text).items()}
    if not all(shape and min(shape) >= 0 for shape in shapes.values()):
        raise ValueError("a shape without dimensions")
    return shapes


def read_packed(path: str | os.PathLike[str]) -> PackedFile:
    """A packed file, its version and hash checked.

    Raises:
        UserError: what `load_packed` lists, but for what Keras cannot build.
    """
    name = os.fspath(path)
    content = read_whole(path)
    tensors, metadata = parse_safetensors(content, name)
    _check_version(name, metadata)
    _check_hash(name, content, metadata)
    try:
        shapes = _shapes(metadata["kernel_shapes"])
        config = parse_config(_inflated(metadata["model"]))
        user = check_texts(json.loads(metadata["user"]))
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError, zlib.error) as error:
        if isinstance(error, UserError):
            raise
        raise _broken(name, f"metadata that cannot be read ({error})") from error
    lost = [key + end for key in shapes for end in (_BITS, _SCALE) if key + end not in tensors]
    if lost:
        raise _broken(name, f"no {lost[0]!r}")
    return PackedFile(name, tensors, config, shapes, user)
