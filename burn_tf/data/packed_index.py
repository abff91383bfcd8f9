"""The index of packed images: one file per split, beside the shards that it describes.

`SPLIT.index` is a ZIP archive of NumPy arrays (`numpy.load` opens it), nothing in it is executed,
and ZIP's own checksums tell damage:

    meta                 uint8: JSON with format, version, data, split, class_names, repairs, shards
                         (name, bytes, mtime_ns of each), segmentations and the
                         names of the arrays
    shard, offset, length, shape, name, sha256
                         where each image lies, and what it is: see `Records`
    label, target        as `Source` has them, where there are any
    objects, boxes, classes, difficult, crowd
                         number of objects of each image, and all of them in a row
"""

from __future__ import annotations

import dataclasses
import io
import json
import os
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from burn_tf._checks import UserError
from burn_tf._files import atomic_write, read_whole
from burn_tf.data.objects import Objects
from burn_tf.data.records import Records

FORMAT, VERSION = "burn_tf packed images", 1
SUFFIX = ".index"
_COLUMNS = ("boxes", "classes", "difficult", "crowd")
# RuntimeError: archives whose damage reads as encryption, or as another compression.
_DAMAGE = (
    OSError, ValueError, KeyError, EOFError, TypeError, RuntimeError, zipfile.BadZipFile,
    zlib.error,
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Shard:
    """A file of records as it was when it had been written.

    Args:
        name: of the file, without its folder.
        size: bytes.
        mtime_ns: when it was last changed, nanoseconds.
    """

    name: str
    size: int
    mtime_ns: int


@dataclasses.dataclass(frozen=True, eq=False)
class PackedIndex:
    """What one split of packed images holds.

    Args:
        data: what was packed.
        split: "train" or "test".
        shards: the files.
        records: where each image lies in them.
        class_names, labels, targets, objects, repairs: as `Source` has them.
    """

    data: str
    split: str
    shards: tuple[Shard, ...]
    records: Records
    class_names: tuple[str, ...] | None
    labels: np.ndarray | None
    targets: np.ndarray | None
    objects: tuple[Objects, ...]
    repairs: str


def index_path(folder: str | os.PathLike[str], split: str) -> Path:
    """Where the index of a split lies."""
    return Path(folder) / f"{split}{SUFFIX}"


def write_index(folder: str | os.PathLike[str], index: PackedIndex) -> None:
    """Write the index of a split, whole or not at all."""
    arrays = _arrays(index)
    meta = {
        "format": FORMAT,
        "version": VERSION,
        "data": index.data,
        "split": index.split,
        "class_names": index.class_names,
        "repairs": index.repairs,
        "shards": [dataclasses.asdict(shard) for shard in index.shards],
        "segmentations": [found.segmentations for found in index.objects],
        "arrays": sorted(arrays),
    }
    buffer = io.BytesIO()
    np.savez(buffer, meta=np.frombuffer(json.dumps(meta).encode(), np.uint8), **arrays)
    atomic_write(index_path(folder, index.split), buffer.getvalue())


def _arrays(index: PackedIndex) -> dict[str, np.ndarray]:
    records = index.records
    arrays = {
        "shard": records.shard,
        "offset": records.offsets,
        "length": records.lengths,
        "shape": records.shapes,
        "name": records.names,
        "sha256": records.digests,
    }
    arrays |= {} if index.labels is None else {"label": index.labels}
    arrays |= {} if index.targets is None else {"target": index.targets}
    if index.objects:
        arrays["objects"] = np.array([len(found) for found in index.objects], np.int64)
        for name in _COLUMNS:
            arrays[name] = np.concatenate([getattr(found, name) for found in index.objects])
    return arrays


def read_index(folder: str | os.PathLike[str], split: str) -> PackedIndex:
    """The index of a split.

    Raises:
        UserError: none there, a damaged one, or one of another version.
    """
    path = index_path(folder, split)
    data = read_whole(path)
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        meta = json.loads(arrays.pop("meta").tobytes())
        found = (meta["format"], meta["version"])
        index = _index(folder, meta, arrays) if found == (FORMAT, VERSION) else None
    except _DAMAGE as error:
        raise UserError(
            f"the index must be whole; pack the data anew. Received: {os.fspath(path)!r} "
            f"({type(error).__name__})"
        ) from error
    if index is None:
        raise UserError(
            f"the index must be {FORMAT!r}, version {VERSION}; pack the data anew with this "
            f"version. Received: {found!r} in {os.fspath(path)!r}"
        )
    return index


def _index(folder: Any, meta: dict[str, Any], arrays: dict[str, np.ndarray]) -> PackedIndex:
    if sorted(arrays) != meta["arrays"]:
        raise KeyError("arrays")  # ZIP has no checksum over which members there are
    shards = tuple(Shard(**shard) for shard in meta["shards"])
    records = Records(
        shards=tuple(os.path.join(os.path.abspath(folder), shard.name) for shard in shards),
        shard=arrays["shard"],
        offsets=arrays["offset"],
        lengths=arrays["length"],
        shapes=arrays["shape"],
        names=arrays["name"],
        digests=arrays["sha256"],
    )
    names = meta["class_names"]
    return PackedIndex(
        data=meta["data"],
        split=meta["split"],
        shards=shards,
        records=records,
        class_names=None if names is None else tuple(names),
        labels=arrays.get("label"),
        targets=arrays.get("target"),
        objects=_objects(arrays, meta["segmentations"]),
        repairs=meta["repairs"],
    )


def _objects(arrays: dict[str, np.ndarray], segmentations: list[Any]) -> tuple[Objects, ...]:
    if "objects" not in arrays:
        return ()
    ends = np.cumsum(arrays["objects"])[:-1]
    columns = [np.split(arrays[name], ends) for name in _COLUMNS]
    outlines = [tuple(found) for found in segmentations]
    return tuple(Objects(*row) for row in zip(*columns, outlines, strict=True))
