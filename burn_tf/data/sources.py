"""Where images come from: `load_source` turns one string into a `Source`."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import os
import re
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf
from absl import logging

from burn_tf._checks import UserError, check_choice
from burn_tf.data import coco, cub, files, folders, images, subsets, voc
from burn_tf.data.objects import Objects
from burn_tf.data.records import Records
from burn_tf.data.substitutes import Reader, image_reader

SPLITS = ("train", "test", "all")


@dataclasses.dataclass(frozen=True, eq=False)
class Source:
    """Images of one split: in memory, as encoded bytes, or as files.

    Args:
        name: what the user asked for.
        split: "train", "test" or "all".
        labels: int64 [N], or None.
        class_names: name of each label, or None.
        fingerprint: hex digest that changes when the images, their order or their labels do.
        skipped: (path, reason) of files that could not be read; in the places of packed ones others
            are shown.
        array: uint8 [N, H, W, 3], when all images are equally large and fit in memory.
        paths: N files, otherwise.
        kinds: int32 [N], what decodes each of `paths` or `encoded`.
        encoded: N images as the bytes of an image file, otherwise.
        targets: int8 [N, C] where an image may hold several classes or none: 1 it does, 0 it does
            not, -1 it counts neither way (VOC's difficult ones); else None. `labels` is then None.
        objects: boxes and their classes, one `Objects` per image, or none at all.
        repairs: a line on boxes that were cut or left out, or "".
        records: where packed images lie, otherwise.
        data_service: address of the tf.data service that makes the views, or None.

    Example:
        >>> import burn_tf
        >>> source = burn_tf.data.load_source("synthetic:6")
        >>> source.num_images, source.image(0).shape, source.image(0).dtype.name
        (4, (32, 32, 3), 'uint8')

    Source: none.
    Departs from source: none.
    """

    name: str
    split: str
    labels: np.ndarray | None
    class_names: tuple[str, ...] | None
    fingerprint: str
    skipped: tuple[tuple[str, str], ...] = ()
    array: np.ndarray | None = None
    paths: tuple[str, ...] = ()
    kinds: np.ndarray | None = None
    encoded: tuple[bytes, ...] = ()
    targets: np.ndarray | None = None
    objects: tuple[Objects, ...] = ()
    repairs: str = ""
    records: Records | None = None
    data_service: str | None = None

    @property
    def num_images(self) -> int:
        """Number of images that can be read."""
        stored = self.array if self.array is not None else self.records
        return len(stored) if stored is not None else len(self.paths) or len(self.encoded)

    def image(self, index: int) -> np.ndarray:
        """uint8 [H, W, 3], RGB."""
        if self.array is not None:
            return self.array[index]
        if self.encoded:
            return images.decode(self.encoded[index])
        if self.records is not None:
            return images.decode(self._reader(tf.constant(index, tf.int64))[0].numpy())
        with open(self.paths[index], "rb") as file:
            return images.decode(file.read())

    @functools.cached_property
    def pixels(self) -> tf.Tensor:
        """`array` as a tensor in main memory, made once for all data sets that read it."""
        with tf.init_scope(), tf.device("CPU:0"):
            return tf.constant(self.array)

    @functools.cached_property
    def label_tensor(self) -> tf.Tensor:
        """int64 [N]; -1 where there are no labels."""
        labels = np.full(self.num_images, -1, np.int64) if self.labels is None else self.labels
        with tf.init_scope(), tf.device("CPU:0"):
            return tf.constant(labels)

    @functools.cached_property
    def _reader(self) -> Reader:
        """Of packed images; another of the same class is read in a damaged one's place."""
        assert self.records is not None
        if self.objects or self.targets is not None:  # They are looked up by the index alone.
            records = dataclasses.replace(self.records, strict=True)
            return image_reader(records, None)
        return image_reader(self.records, self.labels)

    def loader(self) -> Callable[[tf.Tensor], tf.Tensor]:
        """A graph function: int64 index -> uint8 [H, W, 3]; of an array, [B] -> [B, H, W, 3]."""
        if self.array is not None:
            pixels = self.pixels
            return lambda index: tf.gather(pixels, index)
        if self.records is not None:
            read = self._reader
            return lambda index: images.decode_tensor(read(index)[0])
        with tf.init_scope(), tf.device("CPU:0"):
            kinds = tf.constant(self.kinds, tf.int32)
            stored = tf.constant(self.encoded or self.paths, tf.string)
        plain = bool(np.all(self.kinds == images.PLAIN))

        def load(index: tf.Tensor) -> tf.Tensor:
            data = tf.gather(stored, index)
            data = data if self.encoded else tf.io.read_file(data)
            return images.decode_tensor(data, None if plain else tf.gather(kinds, index))

        return load

    def subset(self, indices: np.ndarray) -> Source:
        """The images of these indices (int [M]), in this order; classes keep their numbers."""
        indices = np.asarray(indices, np.int64)
        labels = None if self.labels is None else self.labels[indices]
        return dataclasses.replace(
            self,
            labels=labels,
            fingerprint=digest([self.fingerprint.encode(), indices.tobytes()], labels),
            array=None if self.array is None else self.array[indices],
            paths=tuple(self.paths[i] for i in indices) if self.paths else (),
            kinds=None if self.kinds is None else self.kinds[indices],
            encoded=tuple(self.encoded[i] for i in indices) if self.encoded else (),
            targets=None if self.targets is None else self.targets[indices],
            objects=tuple(self.objects[i] for i in indices) if self.objects else (),
            records=None if self.records is None else self.records.take(indices),
        )

    @classmethod
    def from_array(
        cls,
        array: np.ndarray,
        labels: np.ndarray | None = None,
        class_names: Sequence[str] | None = None,
        *,
        name: str = "array",
        split: str = "train",
    ) -> Source:
        """A source of equally large images in memory.

        Args:
            array: uint8 [N, H, W, 3] or [N, H, W], N >= 1.
            labels: integers [N], or None.
            class_names: name of each label, or None.
            name: what results call the source.
            split: "train", "test" or "all".

        Raises:
            UserError: another shape or dtype.
        """
        if (
            array.dtype != np.uint8
            or array.ndim not in (3, 4)
            or not array.size
            or array.shape[3:] not in ((), (3,))
        ):
            raise UserError(
                "`array` must be uint8 [N, H, W, 3] or [N, H, W], not empty. "
                f"Received: {array.dtype} {list(array.shape)}"
            )
        if labels is not None and len(labels) != len(array):
            raise UserError(f"`labels` must be {len(array)} integers. Received: {len(labels)}")
        array = np.ascontiguousarray(
            array if array.ndim == 4 else np.repeat(array[..., None], 3, axis=3)
        )
        labels = None if labels is None else np.asarray(labels, np.int64)
        names = None if class_names is None else tuple(class_names)
        return cls(name, split, labels, names, digest([array.tobytes()], labels), array=array)


def digest(parts: Sequence[bytes], labels: np.ndarray | None) -> str:
    """Hex digest of images (or of their names and sizes) and labels."""
    state = hashlib.sha256()
    for part in parts:
        state.update(len(part).to_bytes(8, "little") + part)
    state.update(b"" if labels is None else np.ascontiguousarray(labels, np.int64).tobytes())
    return state.hexdigest()[:32]


def load_source(spec: str, split: str = "train", strict: bool = False) -> Source:
    """Images by one string.

    Args:
        spec: "digits" (1,797 scanned digits from scikit-learn, 8 x 8); a folder, flat or with a
            folder per class; "packed:FOLDER" (what `burn-tf data pack` wrote); "tfds:NAME";
            "list:FILE" (a path per line, and after a tab its label); "synthetic:N" (made-up
            shapes, for tests); "voc:FOLDER", "coco:FOLDER" (with boxes; "voc2007:", "coco2017:"
            for one year of several) and "cub:FOLDER", archives as they unpack;
            "classes:FILE:DATA" and "images:FILE:DATA", the named part of any of these.
        split: "train", "test" or "all". What comes without a test split of its own (in a folder:
            test/, val/ or validation/ beside train/) is split 80/20, always in the same way.
        strict: an unreadable image is an error; else it is skipped (of packed images: another one
            of its class is shown in its place), counted and warned about in one line.

    Returns:
        Source.

    Raises:
        UserError: nothing there, fewer than two images, an unreadable image with `strict`.

    Example:
        >>> import burn_tf
        >>> source = burn_tf.data.load_source("digits", split="test")
        >>> source.num_images, len(source.class_names)
        (359, 10)

    Source: none.
    Departs from source: none.
    """
    check_choice("split", split, SPLITS)
    listing = find_files(spec, split, strict)
    if listing is not None:
        return _from_files(spec, split, listing, strict)
    parts, inner = subsets.split_parts(spec)
    source = _made(inner, split, strict)
    for part in parts:
        source = subsets.part_of_source(source, part)
    source = dataclasses.replace(source, name=spec)
    if source.records is None:
        return source
    from burn_tf.data import packed_source  # it is built on this module

    return packed_source.with_substitutes(source)


def find_files(spec: str, split: str, strict: bool = False) -> folders.Listing | None:
    """The files that `load_source` would read, none of them opened; None for what has no files.

    Raises:
        UserError: as `load_source`, of what is wrong with folders, lists and annotations.
    """
    parts, inner = subsets.split_parts(spec)
    listing = _listing(inner, split, strict)
    if listing is not None:
        for part in parts:
            listing = subsets.part_of_listing(listing, part, split)
    return listing


def _listing(spec: str, split: str, strict: bool) -> folders.Listing | None:
    """What is made of image files; None for the rest."""
    kind, colon, rest = spec.partition(":")
    if kind in ("digits", "synthetic", "tfds") or (colon and kind == "packed"):
        return None
    archive = re.fullmatch(r"(voc|coco)(\d{4})?", kind) if colon else None
    if archive is not None:
        read = voc.read_voc if archive[1] == "voc" else coco.read_coco
        return read(rest, split, archive[2] or "", strict)
    if colon and kind == "cub":
        return cub.read_cub(rest, split)
    return folders.read_list(rest, split) if kind == "list" else folders.read_folder(spec, split)


def _made(spec: str, split: str, strict: bool) -> Source:
    kind, _, rest = spec.partition(":")
    if kind == "tfds":
        from burn_tf.data import tfds_source  # tensorflow-datasets takes a second to import

        return tfds_source.load(rest, split, strict)
    if kind == "packed":
        from burn_tf.data import packed_source  # it is built on this module

        return packed_source.load(rest, split, strict)
    from burn_tf.data import builtin_sources

    if spec == "digits":
        return builtin_sources.digits(split)
    return builtin_sources.synthetic(rest, split)


def _from_files(spec: str, split: str, listing: folders.Listing, strict: bool) -> Source:
    scan = files.scan_files(listing.paths)
    skipped = report_skipped(
        spec, len(listing.paths), [(listing.paths[i], why) for i, why in scan.failures], strict
    )
    readable = listing.total - len(skipped)
    if not len(scan.keep) and readable >= 2:
        raise UserError(f"the split {split!r} must hold a readable image. Received: {spec!r}")
    if readable < 2:
        raise UserError(
            f"`data` must hold at least 2 readable images. Received: {spec!r} with {readable}"
        )
    paths = [listing.paths[i] for i in scan.keep]
    labels = None if listing.labels is None else np.asarray(listing.labels, np.int64)[scan.keep]
    names = [f"{os.path.relpath(path, listing.root)}\t{os.path.getsize(path)}" for path in paths]
    objects = tuple(listing.objects[i] for i in scan.keep) if listing.objects else ()
    marks = [name.encode() for name in names] + [found.tobytes() for found in objects]
    return Source(
        name=spec,
        split=split,
        labels=labels,
        class_names=listing.class_names,
        fingerprint=digest(marks, labels),
        skipped=skipped,
        array=scan.array,
        paths=() if scan.array is not None else tuple(paths),
        kinds=None if scan.array is not None else scan.kinds,
        targets=None if listing.targets is None else listing.targets[scan.keep],
        objects=objects,
        repairs=listing.repairs,
    )


def report_skipped(
    spec: str,
    total: int,
    failures: Sequence[tuple[str, str]],
    strict: bool,
    done: str = "skipped",
) -> tuple[tuple[str, str], ...]:
    """Warns of unreadable images and what was done in one line, or refuses them.

    Raises:
        UserError: there are some and `strict` is set.
    """
    if failures:
        path, reason = failures[0]
        text = (
            f"{len(failures)} of {total} images in {spec!r} are damaged, first: {path} ({reason})"
        )
        if strict:
            raise UserError(
                f"{text}; repair or delete them, or leave out --strict. Received: strict=True"
            )
        logging.warning("%s; %s.", text, done)
    return tuple(failures)
