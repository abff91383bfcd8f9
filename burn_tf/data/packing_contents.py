"""What a source holds, image by image, for those who write it anew."""

from __future__ import annotations

import dataclasses
import functools
import io
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from burn_tf.data import subsets
from burn_tf.data.objects import Objects
from burn_tf.data.packed_source import without_substitutes
from burn_tf.data.sources import find_files, load_source


@dataclasses.dataclass(frozen=True)
class Item:
    """One image that is to be packed: what it is called, how its file is read, its label."""

    name: str
    read: Callable[[], bytes]
    label: int | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Contents:
    """One split that is to be packed; a `total` of 0 where there is none.

    Args:
        total: number of items.
        items: the images, each of them read when it is its turn.
        class_names, targets, objects, repairs: as `Source` has them, one row per item.
        skipped: what could not be read already.
    """

    total: int
    items: Iterable[Item]
    class_names: tuple[str, ...] | None = None
    targets: np.ndarray | None = None
    objects: tuple[Objects, ...] = ()
    repairs: str = ""
    skipped: tuple[tuple[str, str], ...] = ()


def contents(spec: str, split: str, strict: bool) -> Contents:
    """The images of one split, in the order of `load_source`; files and TFDS are not read yet.

    Raises:
        UserError: what `load_source` refuses.
    """
    listing = find_files(spec, split, strict)
    if listing is not None:
        labels: Sequence[int | None] = listing.labels or [None] * len(listing.paths)
        items = (
            Item(os.path.relpath(path, listing.root), Path(path).read_bytes, label)
            for path, label in zip(listing.paths, labels, strict=True)
        )
        return Contents(
            len(listing.paths), items, listing.class_names, listing.targets, listing.objects,
            listing.repairs,
        )  # fmt: skip
    parts, inner = subsets.split_parts(spec)
    if inner.startswith("tfds:") and not parts:
        from burn_tf.data import tfds_source  # tensorflow-datasets takes a second to import

        stream = tfds_source.stream(inner.removeprefix("tfds:"), split)
        if stream is not None:
            rows = (
                Item(name, functools.partial(bytes, data), label)
                for name, data, label in stream.rows
            )
            return Contents(stream.total, rows, stream.class_names)
    return _loaded(spec, split, strict)


def _loaded(spec: str, split: str, strict: bool) -> Contents:
    """What is read as a whole: made-up images, and TFDS sets with boxes."""
    source = without_substitutes(load_source(spec, split, strict))

    def read(index: int) -> bytes:
        if source.records is not None:
            return source.records.read(index)
        return source.encoded[index] if source.encoded else png_bytes(source.image(index))

    names = None if source.records is None else source.records.names
    labels = [None] * source.num_images if source.labels is None else source.labels.tolist()
    items = (
        Item(
            f"number {i}" if names is None else names[i].decode(), functools.partial(read, i), label
        )
        for i, label in enumerate(labels)
    )
    return Contents(
        source.num_images, items, source.class_names, source.targets, source.objects,
        source.repairs, source.skipped,
    )  # fmt: skip


def png_bytes(pixels: np.ndarray) -> bytes:
    """A PNG file of uint8 [H, W, 3]."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()
