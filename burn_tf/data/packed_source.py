"""Images that `burn-tf data pack` wrote: "packed:FOLDER"."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.data import files, images
from burn_tf.data.packed_index import PackedIndex, index_path, read_index
from burn_tf.data.records import FRAME_BYTES, Records
from burn_tf.data.sources import Source, digest, report_skipped
from burn_tf.data.substitutes import next_sound

_SHOWN = "others are shown in their places; `burn-tf data check` names all, pack the data anew"
_PARTS = {"train": ("train",), "test": ("test",), "all": ("train", "test")}


def load(folder: str, split: str, strict: bool) -> Source:
    """One split of packed images; nothing but its index is read, unless a file has changed.

    A file whose size and time are those of its packing is taken at its word; of any other (one
    that was copied without its time, cut short or written to) every record is compared with its
    checksum, and damaged ones are counted and told in one line. `with_substitutes` puts others in
    their places. Every later reading of a record compares again: damage never goes into training
    unseen. Number of images and fingerprint are the index's, whatever is damaged: a run goes on.

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
    reasons = dict(source.skipped)
    source = _decoded(dataclasses.replace(source, split=split, skipped=()))
    source = _reported(source, reasons)
    readable = source.num_images - len(source.skipped)
    if readable < 2:
        raise UserError(
            "`data` must hold at least 2 readable images. "
            f"Received: 'packed:{folder}' with {readable}"
        )
    return source


def _part(name: str, root: str, split: str, strict: bool) -> Source:
    index = read_index(root, split)
    damaged = _damaged(root, index)
    mask = np.zeros(len(index.records), bool)
    mask[list(damaged)] = True
    source = Source(
        name=name,
        split=split,
        labels=index.labels,
        class_names=index.class_names,
        fingerprint="",
        skipped=tuple((index.records.names[i].decode(), why) for i, why in sorted(damaged.items())),
        records=dataclasses.replace(index.records, damaged=mask, strict=strict),
        targets=index.targets,
        objects=index.objects,
        repairs=index.repairs,
    )
    return dataclasses.replace(source, fingerprint=_fingerprint(source))


def _reported(source: Source, reasons: Mapping[str, str], seen: np.ndarray | None = None) -> Source:
    """The source with its damaged records in `skipped`, told in one line.

    Args:
        source: packed images.
        reasons: why, by name, where that is known.
        seen: bool [N], those that have been told.

    Raises:
        UserError: there are some and the records are strict.
    """
    records = source.records
    if records is None or records.damaged is None:
        return source
    failures = []
    for i in np.flatnonzero(records.damaged if seen is None else records.damaged & ~seen):
        name = records.names[i].decode()
        shard = os.path.basename(records.shards[records.shard[i]])
        failures.append((name, reasons.get(name, f"damaged record in {shard}")))
    told = report_skipped(source.name, len(records), failures, records.strict, _SHOWN)
    return dataclasses.replace(source, skipped=source.skipped + told)


def with_substitutes(source: Source) -> Source:
    """The source with other images, labels and boxes in the places of its damaged records.

    What stands there is the next sound image of the same class. Number and fingerprint stay.

    Raises:
        UserError: no record is sound.
    """
    records = source.records
    if records is None or records.damaged is None or not records.damaged.any():
        return source
    if records.damaged.all():
        raise UserError(f"`data` must hold a readable image. Received: {source.name!r}")
    chosen = source.subset(next_sound(records.damaged, source.labels))
    assert chosen.records is not None
    shown = dataclasses.replace(chosen.records, damaged=records.damaged)
    return dataclasses.replace(chosen, records=shown, fingerprint=source.fingerprint)


def without_substitutes(source: Source) -> Source:
    """The source without the places in which `with_substitutes` put other images."""
    records = source.records
    if records is None or records.damaged is None or not records.damaged.any():
        return source
    return source.subset(np.flatnonzero(~records.damaged))


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
    read, damaged = records.reader(), np.ones(len(records), bool)
    dataset = tf.data.Dataset.range(len(records)).map(
        lambda i: (i, tf.ensure_shape(images.decode_tensor(read(i)), array.shape[1:])),
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=False,
    )
    for numbers, pixels in dataset.ignore_errors().batch(1024).as_numpy_iterator():
        array[numbers], damaged[numbers] = pixels, False
    records = dataclasses.replace(records, damaged=damaged)
    return dataclasses.replace(source, array=array, records=records)


def cached(source: Source) -> Source:
    """The source with its packed images in memory as they are stored: the disk is read once.

    Args:
        source: what `load_source` gave; one whose pixels are in memory comes back as it is.

    Raises:
        UserError: a source of image files, which have to be packed first, more images than the
            free memory holds, or a damaged record of a source that is strict.
    """
    if source.array is not None or source.encoded:
        return source
    if source.records is None:
        raise UserError(
            "a cache needs packed data: burn-tf data pack SOURCE --output FOLDER, then "
            f"packed:FOLDER. Received: {source.name!r}"
        )
    held = dataclasses.replace(source, records=source.records.in_memory())
    return with_substitutes(_reported(held, {}, seen=source.records.damaged))


def plain(source: Source) -> bool:
    """Whether no image of the source needs Python to be decoded."""
    return source.kinds is None or bool(np.all(source.kinds == images.PLAIN))
