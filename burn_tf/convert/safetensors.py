"""Reader and writer of `.safetensors`: named arrays behind a JSON header, and nothing that runs.

8 bytes   length N of the header, little-endian
N bytes   {"name": {"dtype": "F32", "shape": [..], "data_offsets": [begin, end]}, ..,
           "__metadata__": {"key": "text", ..}}, filled up with spaces
the rest  the arrays, C order, little-endian, one right after the other
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from burn_tf._checks import UserError
from burn_tf._files import read_whole

SUFFIX = ".safetensors"
# The bound of the format's own implementation. A header this long is not one of weights.
MAX_HEADER_BYTES = 100_000_000

_LENGTH_BYTES = 8
_ALIGNMENT = 8
_METADATA = "__metadata__"
_ENTRY_KEYS = {"dtype", "shape", "data_offsets"}
_DTYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "|i1",
    "U64": "<u8",
    "U32": "<u4",
    "U16": "<u2",
    "U8": "|u1",
    "BOOL": "|b1",
}
_CODES = {np.dtype(name): code for code, name in _DTYPES.items()}
# NumPy has no bfloat16, but its bits are the upper half of a float32.
_BFLOAT16 = "BF16"


@dataclasses.dataclass(frozen=True)
class _Entry:
    """Where one array lies in the data section."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int

    def item_bytes(self) -> int:
        return 2 if self.dtype == _BFLOAT16 else np.dtype(_DTYPES[self.dtype]).itemsize


def _refuse(source: str, reason: str) -> UserError:
    return UserError(
        f"{source!r} is not a whole .safetensors file: get it again or check that it is the right "
        f"one. Received: {reason}"
    )


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name that occurs twice")
    return found


def _header(content: memoryview, source: str) -> tuple[dict[str, Any], memoryview]:
    """The parsed header, and the data section behind it."""
    if len(content) < _LENGTH_BYTES:
        raise _refuse(source, f"{len(content)} bytes")
    length = int.from_bytes(content[:_LENGTH_BYTES], "little")
    if length > min(MAX_HEADER_BYTES, len(content) - _LENGTH_BYTES):
        raise _refuse(source, f"a header of {length} bytes in a file of {len(content)}")
    text = bytes(content[_LENGTH_BYTES : _LENGTH_BYTES + length])
    try:
        header = json.loads(text.decode("utf-8"), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise _refuse(source, f"a header that cannot be read ({error})") from error
    if not isinstance(header, dict):
        raise _refuse(source, "a header that is no JSON object")
    return header, content[_LENGTH_BYTES + length :]


def _metadata(value: Any, source: str) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise _refuse(source, "metadata that are not texts")
    return value


def _whole_numbers(value: Any) -> bool:
    return isinstance(value, list) and all(type(item) is int and item >= 0 for item in value)


def _entry(name: str, value: Any, source: str) -> _Entry:
    if not isinstance(value, dict) or set(value) != _ENTRY_KEYS:
        raise _refuse(source, f"a malformed entry for {name!r}")
    dtype, shape, offsets = value["dtype"], value["shape"], value["data_offsets"]
    if dtype not in (*_DTYPES, _BFLOAT16):
        raise UserError(
            f"{source!r} must hold numbers of type {', '.join(_DTYPES)} or {_BFLOAT16}. "
            f"Received: {dtype!r} for {name!r}"
        )
    if not _whole_numbers(shape) or not _whole_numbers(offsets) or len(offsets) != 2:
        raise _refuse(source, f"a malformed shape or place of {name!r}")
    entry = _Entry(name, dtype, tuple(shape), *offsets)
    if entry.end - entry.begin != math.prod(entry.shape) * entry.item_bytes():
        raise _refuse(source, f"{name!r} of shape {shape} in {entry.end - entry.begin} bytes")
    return entry


def _check_places(entries: list[_Entry], size: int, source: str) -> None:
    """Every byte of the data section belongs to exactly one array."""
    reached = 0
    for entry in sorted(entries, key=lambda entry: (entry.begin, entry.end)):
        if entry.begin != reached:
            fault = "overlaps its neighbour" if entry.begin < reached else "leaves a gap before it"
            raise _refuse(source, f"{entry.name!r}, which {fault}")
        reached = entry.end
    if reached != size:
        raise _refuse(source, f"{size} bytes of data where the header speaks of {reached}")


def _array(entry: _Entry, data: memoryview) -> np.ndarray:
    raw = data[entry.begin : entry.end]
    if entry.dtype == _BFLOAT16:
        upper = np.frombuffer(raw, "<u2").astype("<u4") << 16
        return upper.view("<f4").reshape(entry.shape)
    return np.frombuffer(raw, _DTYPES[entry.dtype]).reshape(entry.shape)


def parse_safetensors(
    content: bytes, source: str = "content"
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The arrays and the metadata in the bytes of a `.safetensors` file.

    Args:
        content: the whole file.
        source: what error messages call it, such as its path.

    Returns:
        Arrays by name, in the header's order (read-only; BF16 becomes float32), and the metadata.

    Raises:
        UserError: anything but one well-formed header whose arrays fill the data section exactly.
    """
    header, data = _header(memoryview(content), source)
    metadata = _metadata(header.pop(_METADATA, {}), source)
    entries = [_entry(name, value, source) for name, value in header.items()]
    _check_places(entries, len(data), source)
    return {entry.name: _array(entry, data) for entry in entries}, metadata


def read_safetensors(
    path: str | os.PathLike[str],
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The arrays and the metadata of a `.safetensors` file. Nothing in it is executed.

    Args:
        path: the file.

    Returns:
        Arrays by name (read-only; BF16 becomes float32), and the metadata.

    Raises:
        UserError: the file is absent, truncated, or anything else than its header says.
    """
    return parse_safetensors(read_whole(path), os.fspath(path))


def _writable(name: str, value: Any) -> np.ndarray:
    # Not ascontiguousarray: it would make a vector of a scalar.
    array = np.asarray(value, order="C")
    array = array.astype(array.dtype.newbyteorder("<"), copy=False)
    if array.dtype not in _CODES:
        raise UserError(
            f"`tensors` must hold numbers of type {', '.join(map(str, _CODES))}. "
            f"Received: {array.dtype} for {name!r}"
        )
    return array


def _ordered(tensors: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Widest items first, then by name: every array is aligned, equal content gives equal bytes."""
    arrays = {name: _writable(name, value) for name, value in tensors.items()}
    return dict(sorted(arrays.items(), key=lambda item: (-item[1].dtype.itemsize, item[0])))


def data_sha256(tensors: Mapping[str, Any]) -> str:
    """SHA-256, in hexadecimal, of the data section that `safetensors_bytes` writes for `tensors`.

    Args:
        tensors: arrays by name; what `read_safetensors` gives back has the hash of what was
            written.
    """
    digest = hashlib.sha256()
    for array in _ordered(tensors).values():
        digest.update(array.tobytes())
    return digest.hexdigest()


def safetensors_bytes(
    tensors: Mapping[str, Any], metadata: Mapping[str, str] | None = None
) -> bytes:
    """The bytes of a `.safetensors` file; equal content gives equal bytes.

    Args:
        tensors: arrays by name, of any float, integer or boolean type that NumPy has.
        metadata: texts by name. Default none.

    Returns:
        What `read_safetensors` reads back.

    Raises:
        UserError: a type that the format lacks, a reserved name, or metadata that are not texts.
    """
    texts = dict(metadata or {})
    if _METADATA in tensors or not all(
        isinstance(item, str) for pair in texts.items() for item in pair
    ):
        raise UserError(
            f"`metadata` must map texts to texts, and no tensor may be named {_METADATA!r}. "
            f"Received: metadata {texts!r}"
        )
    header: dict[str, Any] = {_METADATA: dict(sorted(texts.items()))} if texts else {}
    arrays = _ordered(tensors)
    reached = 0
    for name, array in arrays.items():
        place = [reached, reached + array.nbytes]
        code = _CODES[array.dtype]
        header[name] = {"dtype": code, "shape": list(array.shape), "data_offsets": place}
        reached = place[1]
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    text += b" " * (-len(text) % _ALIGNMENT)
    length = len(text).to_bytes(_LENGTH_BYTES, "little")
    return b"".join([length, text, *(array.tobytes() for array in arrays.values())])
