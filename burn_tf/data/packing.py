"""Writes any source of images as TFRecord files with an index: `burn-tf data pack`."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import io
import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image

from burn_tf._checks import UserError, check_integer
from burn_tf._file_lock import hold_lock
from burn_tf._files import atomic_path, remove_unfinished
from burn_tf.data import images
from burn_tf.data.packed_index import PackedIndex, Shard, index_path, write_index
from burn_tf.data.packing_contents import Contents, Item, contents, png_bytes
from burn_tf.data.records import FRAME_BYTES, Records, example_bytes
from burn_tf.data.sources import report_skipped

SPLITS = ("train", "test")
# ImageNet's shards are then 115 MB large.
_IMAGES_PER_SHARD = 1024
_CHUNK = 256
_LOCK = ".lock"
_NUMBER = "[0-9]" * 5
_JPEG_QUALITY = 95


@dataclasses.dataclass(frozen=True)
class Packed:
    """What was written of one split.

    Args:
        split: "train" or "test".
        images: number of them.
        shards: number of files.
        size: bytes of these files.
        changed: images that are not the bytes of their file any more.
        left_out: (name, reason) of damaged ones.
    """

    split: str
    images: int
    shards: int
    size: int
    changed: int
    left_out: tuple[tuple[str, str], ...]


def pack_source(
    spec: str,
    folder: str | os.PathLike[str],
    *,
    shards: int | None = None,
    image_size: int | None = None,
    strict: bool = False,
) -> list[Packed]:
    """Write both splits of a source as TFRecord files, each with an index.

    `load_source("packed:FOLDER")` then gives the same pixels in the same order. A record is a
    `tf.train.Example` with TFDS' names for ImageNet's features: `image` (the bytes of an image
    file), `label` (where there are labels) and `file_name`. JPEG and PNG files that TensorFlow
    reads as Pillow does stay byte for byte as they are; all others (CMYK, turned by EXIF,
    palettes, other formats) become PNG with the same pixels, so that reading needs no Python.
    One image after the other is in memory, so that a TFDS set of any size can be packed. Both
    splits are written or, where it fails or is interrupted, nothing.

    Args:
        spec: as for `load_source`.
        folder: where `SPLIT-00000-of-00008.tfrecord`, .. and `SPLIT.index` go; made if need be.
        shards: files per split; None: one for every 1,024 images.
        image_size: images whose short side is longer than this many pixels are shrunk to it
            (bicubic) and become JPEG of quality 95; None: none are.
        strict: a damaged image is an error; else it is left out, counted and told in one line.

    Returns:
        A record per split.

    Raises:
        UserError: a folder that holds packed images already, or files of the names that are to be
            written, or that another process packs into, what `load_source` refuses, more shards
            than images, an `image_size` for data with boxes.

    Example:
        >>> import tempfile
        >>> from burn_tf.data.packing import pack_source
        >>> [(split.split, split.images) for split in pack_source("digits", tempfile.mkdtemp())]
        [('train', 1438), ('test', 359)]
    """
    if image_size is not None:
        check_integer("image_size", image_size, low=1)
    if shards is not None:
        check_integer("shards", shards, low=1)
    _check_folder(folder)
    found = {split: contents(spec, split, strict) for split in SPLITS}
    if sum(part.total for part in found.values()) < 2:
        raise UserError(f"`source` must hold at least 2 images. Received: {spec!r}")
    plans = [
        _Plan(split, part, _paths(folder, split, part, shards, image_size))
        for split, part in found.items()
        if part.total
    ]
    with _whole_folder(Path(folder), plans):
        return _pack(spec, folder, plans, image_size, strict)


@dataclasses.dataclass(frozen=True)
class _Plan:
    """A split, what it holds and the files it goes to."""

    split: str
    part: Contents
    paths: tuple[Path, ...]


@contextlib.contextmanager
def _whole_folder(folder: Path, plans: Sequence[_Plan]) -> Iterator[None]:
    """The folder for one process; nothing of ours stays in it where the body fails.

    Raises:
        UserError: another process writes there, or has just done so; a file that would be replaced.
    """
    made = not folder.exists()
    try:
        with hold_lock(folder / _LOCK, timeout_seconds=0.0):
            _check_folder(folder)
            _remove_unfinished(folder)
            _check_free(plans)
            try:
                yield
            except BaseException:
                for plan in plans:
                    for path in (*plan.paths, index_path(folder, plan.split)):
                        path.unlink(missing_ok=True)
                raise
    finally:
        if made:
            with contextlib.suppress(OSError):  # Not empty: it was a success.
                folder.rmdir()


def _check_folder(folder: str | os.PathLike[str]) -> None:
    if Path(folder).exists() and not Path(folder).is_dir():
        raise UserError(f"`output` must be a folder. Received: the file {os.fspath(folder)!r}")
    if any(index_path(folder, split).exists() for split in SPLITS):
        raise UserError(
            "`output` must not hold packed images yet; delete them or choose another folder. "
            f"Received: {os.fspath(folder)!r}"
        )


def _remove_unfinished(folder: Path) -> None:
    """Delete what earlier packings left that were killed, however many files they were to write."""
    for split in SPLITS:
        remove_unfinished(index_path(folder, split))
        # `tempfile` puts eight characters of its own in the middle.
        for left in folder.glob(f".{split}-{_NUMBER}-of-{_NUMBER}.????????.tfrecord"):
            left.unlink(missing_ok=True)


def _check_free(plans: Sequence[_Plan]) -> None:
    """Raise where a file of another origin has a name that is to be written."""
    taken = [path for plan in plans for path in plan.paths if os.path.lexists(path)]
    if taken:
        raise UserError(
            f"`output` must not hold {taken[0].name} yet, which no index is of; move or delete it, "
            f"or choose another folder. Received: {os.fspath(taken[0].parent)!r}"
        )


@dataclasses.dataclass(frozen=True)
class _Ready:
    """An image file that TensorFlow reads as Pillow does, or the reason why there is none."""

    data: bytes = b""
    shape: tuple[int, int] = (0, 0)
    changed: bool = False
    reason: str = ""


def _prepare(item: Item, image_size: int | None) -> _Ready:
    """Read, check to the end, and make anew where that is needed."""
    try:
        data = item.read()
        shape = _plain_shape(data)
        if shape is not None and (image_size is None or min(shape) <= image_size):
            return _Ready(data, shape)
        pixels = images.decode(data)
    except (ValueError, OSError) as error:
        return _Ready(reason=str(error))
    if image_size is not None and min(pixels.shape[:2]) > image_size:
        data, shape = _shrunk(pixels, image_size)
    else:
        data, shape = png_bytes(pixels), (pixels.shape[0], pixels.shape[1])
    return _Ready(data, shape, changed=True)


def _plain_shape(data: bytes) -> tuple[int, int] | None:
    """Height and width of a sound file that TensorFlow reads as Pillow does; None for others."""
    header = images.read_header(data)
    if header.kind != images.PLAIN:
        return None
    try:
        with tf.device("CPU:0"):
            images.probe_tensor(tf.constant(data))
    except tf.errors.InvalidArgumentError:
        return None
    return header.height, header.width


def _shrunk(pixels: np.ndarray, image_size: int) -> tuple[bytes, tuple[int, int]]:
    height, width = pixels.shape[:2]
    scale = image_size / min(height, width)
    height, width = round(height * scale), round(width * scale)
    picture = Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=_JPEG_QUALITY)
    return buffer.getvalue(), (height, width)


def _prepared(items: Iterable[Item], image_size: int | None) -> Iterator[tuple[Item, _Ready]]:
    """Items in order, some of them at a time in parallel."""
    rest, prepare = iter(items), functools.partial(_prepare, image_size=image_size)
    with ThreadPoolExecutor() as pool:  # Pillow and TensorFlow work without the interpreter's lock
        while chunk := list(itertools.islice(rest, _CHUNK)):
            yield from zip(chunk, pool.map(prepare, chunk), strict=True)


class _Rows:
    """What the index says of the images that have been written."""

    def __init__(self) -> None:
        self.kept: list[int] = []  # positions among all items
        self.places: list[tuple[int, int, int]] = []  # shard, offset, length
        self.shapes: list[tuple[int, int]] = []
        self.names: list[bytes] = []
        self.digests: list[bytes] = []
        self.labels: list[int | None] = []
        self.left_out: list[tuple[str, str]] = []
        self.changed = 0

    def add(self, position: int, item: Item, ready: _Ready, place: tuple[int, int, int]) -> None:
        """Take note of a record."""
        self.kept.append(position)
        self.places.append(place)
        self.shapes.append(ready.shape)
        self.names.append(item.name.encode())
        self.digests.append(hashlib.sha256(ready.data).digest())
        self.labels.append(item.label)
        self.changed += ready.changed

    def records(self, shards: Sequence[Path]) -> Records:
        """As they are read."""
        places = np.array(self.places, np.int64)
        digests = np.frombuffer(b"".join(self.digests), np.uint8).reshape(-1, 32)
        return Records(
            shards=tuple(map(str, shards)),
            shard=places[:, 0].astype(np.int32),
            offsets=places[:, 1],
            lengths=places[:, 2],
            shapes=np.array(self.shapes, np.int32),
            names=np.array(self.names),
            digests=digests,
        )

    def label_array(self) -> np.ndarray | None:
        """int64 [N], or None where there are no labels."""
        known = [label for label in self.labels if label is not None]
        return np.array(known, np.int64) if len(known) == len(self.labels) else None


def _paths(
    folder: str | os.PathLike[str],
    split: str,
    part: Contents,
    shards: int | None,
    image_size: int | None,
) -> tuple[Path, ...]:
    if image_size is not None and part.objects:
        raise UserError(
            f"`image_size` must be left out for data with boxes. Received: {image_size}"
        )
    number = -(-part.total // _IMAGES_PER_SHARD) if shards is None else shards
    check_integer("shards", number, low=1, high=part.total)
    names = (f"{split}-{i:05}-of-{number:05}.tfrecord" for i in range(number))
    return tuple(Path(folder) / name for name in names)


def _pack(
    spec: str,
    folder: str | os.PathLike[str],
    plans: Sequence[_Plan],
    image_size: int | None,
    strict: bool,
) -> list[Packed]:
    """Write the records of all splits, then their indices: one alone would pass for the whole."""
    with contextlib.ExitStack() as stack:
        written = [_write(spec, plan, image_size, strict, stack) for plan in plans]
    packed = []
    for plan, rows in zip(plans, written, strict=True):
        write_index(folder, _index(spec, plan, rows))
        size = sum(path.stat().st_size for path in plan.paths)
        counts = (len(rows.kept), len(plan.paths), size, rows.changed)
        packed.append(Packed(plan.split, *counts, tuple(rows.left_out)))
    return packed


def _write(
    spec: str, plan: _Plan, image_size: int | None, strict: bool, stack: contextlib.ExitStack
) -> _Rows:
    """All records of a split; the files take their places when `stack` ends, or not at all.

    Raises:
        UserError: no image can be read, or one cannot and `strict` is set.
    """
    rows, part = _Rows(), plan.part
    rows.left_out += part.skipped
    files = [stack.enter_context(atomic_path(path)) for path in plan.paths]
    done = 0
    prepared = enumerate(_prepared(part.items, image_size))
    for shard, file in enumerate(files):
        # Neighbours share a file: shard s has the images from s N / S to (s + 1) N / S.
        end = (shard + 1) * part.total // len(files)
        with tf.io.TFRecordWriter(str(file)) as writer:
            _write_shard(writer, shard, itertools.islice(prepared, end - done), rows)
        done = end
    report_skipped(spec, part.total, rows.left_out, strict)
    if not rows.kept:
        raise UserError(
            "`source` must hold an image that can be read. Received: "
            f"{part.total} damaged ones, first: {rows.left_out[0][0]}"
        )
    return rows


def _write_shard(
    writer: tf.io.TFRecordWriter,
    shard: int,
    prepared: Iterable[tuple[int, tuple[Item, _Ready]]],
    rows: _Rows,
) -> None:
    offset = 0
    for position, (item, ready) in prepared:
        if ready.reason:
            rows.left_out.append((item.name, ready.reason))
            continue
        record = example_bytes(ready.data, item.label, item.name)
        writer.write(record)
        rows.add(position, item, ready, (shard, offset, len(record)))
        offset += len(record) + FRAME_BYTES


def _index(spec: str, plan: _Plan, rows: _Rows) -> PackedIndex:
    part = plan.part
    states = [(path.name, path.stat()) for path in plan.paths]
    return PackedIndex(
        data=spec,
        split=plan.split,
        shards=tuple(Shard(name, state.st_size, state.st_mtime_ns) for name, state in states),
        records=rows.records(plan.paths),
        class_names=part.class_names,
        labels=rows.label_array(),
        targets=None if part.targets is None else part.targets[rows.kept],
        objects=tuple(part.objects[i] for i in rows.kept) if part.objects else (),
        repairs=part.repairs,
    )
