"""Images that `burn-tf data pack` wrote: "packed:FOLDER"."""

from __future__ import annotations

import dataclasses
import os

import numpy as np
import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.data import files, images
from burn_tf.data.packed_index import PackedIndex, index_path, read_index
from burn_tf.data.records import FRAME_BYTES, Records
from burn_tf.data.sources import Source, digest, report_skipped

_PARTS = {"train": ("train",), "test": ("test",), "all": ("train", "test")}


def load(folder: str, split: str, strict: bool) -> Source:
    """One split of packed images; nothing but its index is read, unless a file has changed.

    A file whose size and time are those of its packing is taken at its word; of any other (one
    that was copied without its time, cut short or written to) every record is compared with its
    checksum, and damaged ones are skipped, counted and told in one line. Every later reading of a
    record compares again: damage never goes into training unseen.

    Small images of one size are decoded into memory, as those of any other source.

    Args:
        folder: where the packed images lie.
        split: "train", "test" or "all".
        strict: a damaged record is an error.

    Raises:
        UserError: no packed images, an index that is damaged or of another version, or a file that
            is missing.
    """
    root = os.path.abspath(os.path.expanduser(folder))
    parts = [part for part in _PARTS[split] if index_path(root, part).is_file()]
    if not parts or (split != "all" and split not in parts):
        raise UserError(
            f"`data` must be packed:FOLDER with {split if split != 'all' else 'train'}.index, as "
            f"`burn-tf data pack SOURCE --output FOLDER` writes it. Received: {folder!r}"
        )
    sources = [_part(f"packed:{folder}", root, part, strict) for part in parts]
    source = sources[0] if len(sources) == 1 else _joined(*sources)
    if source.num_images < 2:
        raise UserError(
            "`data` must hold at least 2 readable images. "
            f"Received: 'packed:{folder}' with {source.num_images}"
        )
    return _decoded(dataclasses.replace(source, split=split))


def _part(name: str, root: str, split: str, strict: bool) -> Source:
    index = read_index(root, split)
    damaged = _damaged(root, index)
    failures = [(index.records.names[i].decode(), why) for i, why in sorted(damaged.items())]
    skipped = report_skipped(name, len(index.records), failures, strict)
    source = Source(
        name=name,
        split=split,
        labels=index.labels,
        class_names=index.class_names,
        fingerprint="",
        records=index.records,
        targets=index.targets,
        objects=index.objects,
        repairs=index.repairs,
    )
    keep = np.array([i for i in range(len(index.records)) if i not in damaged], np.int64)
    source = source.subset(keep) if damaged else source
    return dataclasses.replace(source, skipped=skipped, fingerprint=_fingerprint(source))


def _fingerprint(source: Source) -> str:
    """Of the images themselves, however many files they lie in."""
    records = source.records
    marks = [] if records is None else [records.digests.tobytes()]
    return digest([*marks, *(found.tobytes() for found in source.objects)], source.labels)


def _damaged(root: str, index: PackedIndex) -> dict[int, str]:
    """Positions of the records that cannot be read, and why."""
    damaged: dict[int, str] = {}
    records = index.records
    for number, shard in enumerate(index.shards):
        path = records.shards[number]
        if not os.path.isfile(path):
            raise UserError(
                f"every file of the packed images must be there: {shard.name} is missing; copy it "
                f"or pack the data anew. Received: {root!r}"
            )
        state = os.stat(path)
        if (state.st_size, state.st_mtime_ns) == (shard.size, shard.mtime_ns):
            continue
        there = np.flatnonzero(records.shard == number)
        cut = records.offsets[there] + records.lengths[there] + FRAME_BYTES > state.st_size
        damaged |= {int(i): f"{shard.name} ends before it" for i in there[cut]}
        damaged |= _unsound(records, there[~cut], shard.name)
    return damaged


def _unsound(records: Records, positions: np.ndarray, shard: str) -> dict[int, str]:
    """Which of these records do not agree with their checksum."""
    read = records.reader()
    dataset = tf.data.Dataset.from_tensor_slices(positions.astype(np.int64))
    dataset = dataset.map(  # the length is asked for so that the record is really read
        lambda index: (index, tf.strings.length(read(index))),
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=False,
    )
    sound = {int(index) for index, _ in dataset.ignore_errors().as_numpy_iterator()}
    text = f"damaged record in {shard}"
    return {int(i): text for i in positions if i not in sound}


def _joined(train: Source, test: Source) -> Source:
    """The train images, and then the test images."""
    if train.class_names != test.class_names:
        raise UserError(
            "the packed splits must have the same classes; pack them anew from one source. "
            f"Received: {train.name!r}"
        )
    records = None
    if train.records is not None and test.records is not None:
        records = train.records.followed_by(test.records)
    joined = dataclasses.replace(
        train,
        labels=_rows(train.labels, test.labels),
        records=records,
        targets=_rows(train.targets, test.targets),
        objects=train.objects + test.objects,
        skipped=train.skipped + test.skipped,
        repairs="; ".join(filter(None, (train.repairs, test.repairs))),
    )
    return dataclasses.replace(joined, fingerprint=_fingerprint(joined))


def _rows(first: np.ndarray | None, second: np.ndarray | None) -> np.ndarray | None:
    return None if first is None or second is None else np.concatenate([first, second])


def _decoded(source: Source) -> Source:
    """With the pixels in memory where the images are small and of one size."""
    records = source.records
    if records is None:
        return source
    sizes = {(int(height), int(width)) for height, width in np.unique(records.shapes, axis=0)}
    array = files.room_for(sizes, len(records))
    if array is None:
        return source
    load = source.loader()
    dataset = tf.data.Dataset.range(len(records)).map(load, num_parallel_calls=tf.data.AUTOTUNE)
    start = 0
    for pixels in dataset.batch(1024).as_numpy_iterator():
        array[start : start + len(pixels)] = pixels
        start += len(pixels)
    return dataclasses.replace(source, array=array)


def cached(source: Source) -> Source:
    """The source with its packed images in memory as they are stored: the disk is read once.

    Args:
        source: what `load_source` gave; one whose pixels are in memory comes back as it is.

    Raises:
        UserError: a source of image files, which have to be packed first, more images than the
            free memory holds, or a damaged record.
    """
    if source.array is not None or source.encoded:
        return source
    if source.records is None:
        raise UserError(
            "a cache needs packed data: burn-tf data pack SOURCE --output FOLDER, then "
            f"packed:FOLDER. Received: {source.name!r}"
        )
    return dataclasses.replace(source, records=source.records.in_memory())


def plain(source: Source) -> bool:
    """Whether no image of the source needs Python to be decoded."""
    return source.kinds is None or bool(np.all(source.kinds == images.PLAIN))
