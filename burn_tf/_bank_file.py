"""Features in a file that says whose they are: an .npy file with a record behind its array.

    NPY array [N, D] | JSON record | length of the record, uint64 little-endian | b"BURNFEAT"

`numpy.load` reads such a file too: it stops where the array ends. The record comes last, so that a
file cut short has none.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from burn_tf._files import atomic_path

_MAGIC = b"BURNFEAT"
_END = struct.Struct("<Q8s")
TAIL_ROWS = 64
_HALF_ERROR = 2.0**-10


class DamagedBank(Exception):
    """A file that does not hold the features that are looked for; the text says why."""


def write_bank(
    path: str | os.PathLike[str],
    key: str,
    shape: tuple[int, int],
    dtype: np.dtype[Any],
    batches: Iterable[np.ndarray],
    checked_rows: int = TAIL_ROWS,
) -> None:
    """Write rows as they come; the file appears when it is whole, and not at all otherwise.

    Args:
        path: of the file; its folder is made.
        key: what `read_bank` must be given.
        shape: rows and columns of all batches together.
        dtype: of the array, little-endian in the file.
        batches: rows [B, D], N of them together.
        checked_rows: how many of the last rows the record has a digest of, and holds in memory.

    Raises:
        OSError: the file cannot be written.
        ValueError: there are more or fewer rows than `shape` says.
    """
    stored = np.dtype(dtype).newbyteorder("<")
    # Written, not mapped: a full disk is then an error and not the end of the process.
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": stored.str, "fortran_order": False, "shape": shape}
        )
        written, tail = 0, np.empty((0, shape[1]), stored)
        for rows in batches:
            kept = np.ascontiguousarray(rows, stored)
            file.write(kept.tobytes())
            written += len(kept)
            tail = np.concatenate([tail, kept])[-checked_rows:]
        if written != shape[0]:
            raise ValueError(f"{shape[0]} rows were announced and {written} came")
        record = _record(key, shape, stored, tail)
        file.write(record + _END.pack(len(record), _MAGIC))


def read_bank(
    path: str | os.PathLike[str], key: str, rows: int, checked_rows: int = TAIL_ROWS
) -> np.ndarray:
    """The array of a file, mapped: pages come into memory as they are read, and may leave again.

    Args:
        path: of the file.
        key: that it must have been written with.
        rows: how many it must have.
        checked_rows: what it was written with.

    Raises:
        DamagedBank: it is cut short, or not the file of these features, or its end is damaged.
        FileNotFoundError: there is none.
    """
    size = Path(path).stat().st_size
    record = _read_record(path, size)
    if record.get("key") != key:
        raise DamagedBank("of another network or of other images")
    try:
        array = np.load(path, mmap_mode="r")
    except (ValueError, EOFError) as error:
        raise DamagedBank(f"damaged ({error})") from error
    if array.ndim != 2 or len(array) != rows or array.offset + array.nbytes >= size:
        raise DamagedBank("of another shape")
    if record != json.loads(_record(key, array.shape, array.dtype, array[-checked_rows:])):
        raise DamagedBank("damaged")
    return array


def fits_half(half: np.ndarray, rows: np.ndarray) -> bool:
    """Whether float16 [N, D] is finite and within 2^-10 of the length of each of `rows` [N, D]."""
    error = np.linalg.norm(rows - half.astype(np.float32), axis=1)
    right = error <= _HALF_ERROR * np.linalg.norm(rows, axis=1)
    return bool(right.all() and np.isfinite(half).all())


def _record(key: str, shape: tuple[int, ...], dtype: np.dtype[Any], tail: np.ndarray) -> bytes:
    digest = hashlib.sha256(np.ascontiguousarray(tail).tobytes()).hexdigest()
    facts = {"key": key, "shape": list(shape), "dtype": dtype.str, "tail_sha256": digest}
    return json.dumps(facts, sort_keys=True).encode()


def _read_record(path: str | os.PathLike[str], size: int) -> dict[str, Any]:
    with open(path, "rb") as file:
        file.seek(max(size - _END.size, 0))
        end = file.read(_END.size)
        if len(end) < _END.size or end[-len(_MAGIC) :] != _MAGIC:
            raise DamagedBank("cut short")
        length, _ = _END.unpack(end)
        start = size - _END.size - length
        if start < 0:
            raise DamagedBank("damaged")
        file.seek(start)
        text = file.read(length)
    try:
        record = json.loads(text)
    except ValueError as error:
        raise DamagedBank("damaged") from error
    return record if isinstance(record, dict) else {}
