"""One file per checkpoint, written whole and checked by hash: variables and position.

Layout of a file: the 8 bytes of `MAGIC`, the header's length as little-endian uint64, the header as
UTF-8 JSON (`metadata`, and `tensors`: name, dtype, shape in order), the tensors' bytes in that
order, and the SHA-256 of all that precedes it. Nothing in it is ever executed.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import struct
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf._files import atomic_path

MAGIC = b"BURNTF01"
_DIGEST_BYTES = 32
_CHUNK_BYTES = 1 << 24
_PATTERN = "checkpoint-*.burn"
_DAMAGED = "damaged-*.burn"
_UNFINISHED = ".checkpoint-*.burn"


class DamagedCheckpoint(UserError):
    """A checkpoint file that is cut short, altered, or not a checkpoint."""


def write_checkpoint(
    path: str | os.PathLike[str], variables: Sequence[tf.Variable], metadata: Mapping[str, Any]
) -> None:
    """Write the variables' values and JSON-serialisable `metadata` to `path`, atomically.

    Raises:
        OSError: the disk is full, or the like; it names `path`, which is as it was.
    """
    tensors = [
        {"name": variable.name, "dtype": variable.dtype.name, "shape": variable.shape.as_list()}
        for variable in variables
    ]
    header = json.dumps({"metadata": metadata, "tensors": tensors}).encode()
    try:
        with atomic_path(path) as temporary, open(temporary, "wb") as file:
            _write_digested(file, _blocks(header, variables))
    except OSError as error:
        # A write that fails does not say where.
        error.filename = error.filename or os.fspath(path)
        raise


def _write_digested(file: BinaryIO, blocks: Iterator[bytes]) -> None:
    digest = hashlib.sha256()
    for block in blocks:
        digest.update(block)
        file.write(block)
    file.write(digest.digest())


def _blocks(header: bytes, variables: Sequence[tf.Variable]) -> Iterator[bytes]:
    yield MAGIC + struct.pack("<Q", len(header)) + header
    for variable in variables:
        yield np.ascontiguousarray(variable.numpy()).tobytes()


def read_checkpoint(
    path: str | os.PathLike[str],
) -> tuple[dict[str, Any], list[np.ndarray], list[str]]:
    """The metadata, arrays and names in a checkpoint file.

    Raises:
        DamagedCheckpoint: when the file's hash or layout is wrong.
    """
    path = Path(path)
    _check_digest(path)
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(len(MAGIC) + 8)[len(MAGIC) :])
        header = json.loads(file.read(length))
        arrays = []
        for tensor in header["tensors"]:
            dtype = np.dtype(tf.as_dtype(tensor["dtype"]).as_numpy_dtype)
            count = int(np.prod(tensor["shape"], dtype=np.int64))
            data = file.read(count * dtype.itemsize)
            arrays.append(np.frombuffer(data, dtype).reshape(tensor["shape"]))
    return header["metadata"], arrays, [tensor["name"] for tensor in header["tensors"]]


def _check_digest(path: Path) -> None:
    size = path.stat().st_size
    body = size - _DIGEST_BYTES
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        if body < len(MAGIC) + 8 or file.read(len(MAGIC)) != MAGIC:
            raise DamagedCheckpoint(f"{path} is no whole checkpoint. Received: {size} bytes")
        digest.update(MAGIC)
        left = body - len(MAGIC)
        while left:
            block = file.read(min(left, _CHUNK_BYTES))
            if not block:
                break
            digest.update(block)
            left -= len(block)
        if file.read(_DIGEST_BYTES) != digest.digest():
            raise DamagedCheckpoint(f"{path} is damaged: its hash differs. Received: {size} bytes")


def restore_variables(
    variables: Sequence[tf.Variable], arrays: Sequence[np.ndarray], origin: str
) -> None:
    """Assign arrays to variables one to one, in order.

    Raises:
        UserError: when the counts or any shapes differ, before anything is assigned.
    """
    shapes = [tuple(variable.shape) for variable in variables]
    if shapes != [array.shape for array in arrays]:
        raise UserError(
            f"{origin} holds other variables than this run's networks: use another work directory"
        )
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)


@dataclasses.dataclass(frozen=True)
class Found:
    """A whole checkpoint: its metadata, arrays in the order of the variables, and file.

    `warnings` say which newer files were damaged.
    """

    metadata: dict[str, Any]
    arrays: list[np.ndarray]
    path: Path
    warnings: list[str]


class CheckpointStore:
    """The newest two checkpoints of one stage, in one folder, which one process writes to.

    Files that are damaged are renamed to `damaged-STEP.burn`: they neither count among the two nor
    are they read again.

    Args:
        folder: where files `checkpoint-STEP.burn` are kept.
        keep: how many are kept; >= 1.
    """

    def __init__(self, folder: str | os.PathLike[str], keep: int = 2) -> None:
        self.folder = Path(folder)
        self.keep = keep

    def paths(self) -> list[Path]:
        """Files from oldest to newest."""
        return sorted(self.folder.glob(_PATTERN))

    def save(
        self, step: int, variables: Sequence[tf.Variable], metadata: Mapping[str, Any]
    ) -> Path:
        """Write a checkpoint of `step`, then remove all but the newest ones."""
        path = self.folder / f"checkpoint-{step:010d}.burn"
        self._remove_unfinished()
        write_checkpoint(path, variables, {**metadata, "step": step})
        self._settle()
        for old in self.paths()[: -self.keep]:
            old.unlink()
        return path

    def newest(self) -> Found | None:
        """The newest whole checkpoint, or None where there is no file.

        Raises:
            UserError: all files are damaged.
        """
        return newest_whole([self])[1]

    def clear(self) -> None:
        """Remove every checkpoint."""
        self._remove_unfinished()
        for path in [*self.paths(), *self.folder.glob(_DAMAGED)]:
            path.unlink()

    def look(self) -> tuple[Found | None, list[str]]:
        """The newest whole checkpoint if there is one, and a warning for each damaged file."""
        warnings: list[str] = []
        for path in reversed(self.paths()):
            try:
                metadata, arrays, _ = read_checkpoint(path)
            except DamagedCheckpoint as error:
                warnings.append(str(error))
                continue
            return Found(metadata, arrays, path, warnings), warnings
        return None, warnings

    def set_damaged_aside(self, after: Path | None) -> None:
        """Rename files newer than `after`, or all, which have been found damaged."""
        for path in self.paths():
            if after is None or path > after:
                path.rename(path.with_name(path.name.replace("checkpoint", "damaged", 1)))

    def _settle(self) -> None:
        """Let the new name reach the disk before an old file goes: a power cut leaves one whole."""
        if os.name == "posix":
            folder = os.open(self.folder, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def _remove_unfinished(self) -> None:
        """What a process left behind that was killed while it wrote."""
        for path in self.folder.glob(_UNFINISHED):
            path.unlink(missing_ok=True)


def newest_whole(stores: Sequence[CheckpointStore]) -> tuple[int, Found | None]:
    """Where a run of several stages goes on, each with a store: (stage, checkpoint).

    That is the last stage with a whole checkpoint. Damaged files that are newer are set aside, and
    the checkpoint's `warnings` name them. (0, None) where there is no file at all.

    Raises:
        UserError: there are files, but all are damaged; nothing is renamed then.
    """
    warnings: list[str] = []
    for index in reversed(range(len(stores))):
        found, damaged = stores[index].look()
        warnings += damaged
        if found is not None:
            stores[index].set_damaged_aside(after=found.path)
            for later in stores[index + 1 :]:
                later.set_damaged_aside(after=None)
            return index, dataclasses.replace(found, warnings=warnings)
    if warnings:
        folder = os.path.commonpath([store.folder for store in stores])
        raise UserError(
            f"no whole checkpoint is left in {folder}: delete that folder to start again. "
            f"Received: {'; '.join(warnings)}"
        )
    return 0, None
