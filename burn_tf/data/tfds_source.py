"""Images of TensorFlow Datasets, read as they are stored: "tfds:NAME"."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow_datasets as tfds

from burn_tf._checks import UserError, nearest
from burn_tf.data import files, folders, images
from burn_tf.data.objects import BoxRepairs, Objects, image_targets
from burn_tf.data.sources import Source, digest, report_skipped

# Photographs stay encoded; this many bytes of them are held in memory (Imagenette has 1.5 GB).
MAX_BYTES = 4 * 2**30
# Their test images have no public annotations: TFDS gives the label -1 or no objects.
_NO_TEST_LABELS = ("voc/2012", "coco", "i_naturalist", "imagenet2012/")
_NAME_KEY = "file_name"


class _Example(NamedTuple):
    """An encoded image; -1, {} and "" where it has no label, objects or name."""

    data: bytes
    label: int
    objects: dict[str, np.ndarray]
    name: str


@dataclasses.dataclass(frozen=True)
class Stream:
    """One split, an example after the other.

    Args:
        total: number of examples.
        class_names: name of each label, or None.
        rows: (name, bytes of the image file, label or None) of each.
    """

    total: int
    class_names: tuple[str, ...] | None
    rows: Iterator[tuple[str, bytes, int | None]]


def load(name: str, split: str, strict: bool) -> Source:
    """One split of a TFDS data set, which TFDS downloads and prepares where it has to.

    The test images are those of the split "test", else "validation", else a fifth of "train".

    Args:
        name: as for `tfds.load`, or the folder of a prepared data set.
        split: "train", "test" or "all".
        strict: an unreadable image is an error.

    Raises:
        UserError: no such data set, no images in it, none that can be downloaded, or too many for
        the memory.
    """
    builder = _builder(name)
    features = builder.info.features
    image_key, label_key = _keys(name, features)
    objects = _object_names(features)
    parts, cut = _splits(builder.info.full_name, list(builder.info.splits), split)
    rows = list(_limited(builder.name, _examples(builder, parts, image_key, label_key)))
    keep = list(range(len(rows)))
    if cut:
        keep = _cut([row.label for row in rows], label_key, split)
    names = _class_names(features, label_key)
    kept = [rows[i] for i in keep]
    labelled = label_key is not None
    if objects is None:
        return _source(f"tfds:{name}", split, kept, names, labelled, strict)
    source = _source(f"tfds:{name}", split, kept, objects, False, strict)
    first_pixel = 1.0 if builder.name == "voc" else 0.0
    return _with_objects(source, [row.objects for row in kept], objects, first_pixel, strict)


def stream(name: str, split: str) -> Stream | None:
    """The same images in the same order as `load`, never more than one of them in memory.

    Args:
        name, split: as for `load`.

    Returns:
        Stream, or None for a data set with boxes, which `load` reads.

    Raises:
        UserError: no such data set, or no images in it.
    """
    builder = _builder(name)
    features = builder.info.features
    image_key, label_key = _keys(name, features)
    if _object_names(features) is not None:
        return None
    parts, cut = _splits(builder.info.full_name, list(builder.info.splits), split)
    total = sum(builder.info.splits[part].num_examples for part in parts)
    chosen: set[int] | None = None
    if cut:
        labels = [row.label for row in _examples(builder, parts, image_key, label_key)]
        chosen = set(_cut(labels, label_key, split))
        total = len(chosen)
    rows = (
        (row.name or f"number {i}", row.data, None if label_key is None else row.label)
        for i, row in enumerate(_examples(builder, parts, image_key, label_key))
        if chosen is None or i in chosen
    )
    return Stream(total, _class_names(features, label_key), rows)


def _cut(labels: Sequence[int], label_key: str | None, split: str) -> list[int]:
    """Positions of a split where TFDS has but one."""
    marks = None if label_key is None else labels
    return folders.split_positions([str(i) for i in range(len(labels))], marks, split)


def _class_names(features: Any, label_key: str | None) -> tuple[str, ...] | None:
    feature = None if label_key is None else features[label_key]
    return None if feature is None or not feature.names else tuple(feature.names)


def _builder(name: str) -> Any:
    """The builder, with its data in place."""
    if os.path.isdir(os.path.expanduser(name)):
        return tfds.builder_from_directory(os.path.expanduser(name))
    try:
        builder = tfds.builder(name)
    except tfds.core.DatasetNotFoundError as error:
        guess = nearest(name, tfds.list_builders(with_community_datasets=False))
        hint = f" Did you mean 'tfds:{guess}'?" if guess else ""
        raise UserError(
            f"`data` must name a TFDS data set.{hint} Received: 'tfds:{name}'"
        ) from error
    except (
        ValueError,
        AssertionError,
    ) as error:  # an unknown configuration or version of a known data set
        reason = str(error).splitlines()[0][:200]
        raise UserError(f"TFDS refuses the name ({reason}). Received: 'tfds:{name}'") from error
    try:
        builder.download_and_prepare()
    except (
        Exception
    ) as error:  # TFDS passes on whatever its download, archives and generators raise
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise UserError(
            f"TFDS could not prepare {name!r} ({reason}); check the network, or prepare it "
            f"elsewhere and set TFDS_DATA_DIR. Received: 'tfds:{name}'"
        ) from error
    return builder


def _keys(name: str, features: Any) -> tuple[str, str | None]:
    """Names of the image and of the label among an example's features."""
    pictures = [key for key, value in features.items() if isinstance(value, tfds.features.Image)]
    if not pictures:
        raise UserError(
            "`data` must be a TFDS data set of images. "
            f"Received: 'tfds:{name}' with {sorted(features)}"
        )
    labels = [key for key, value in features.items() if isinstance(value, tfds.features.ClassLabel)]
    image = "image" if "image" in pictures else pictures[0]
    return image, "label" if "label" in labels else labels[0] if labels else None


def _object_names(features: Any) -> tuple[str, ...] | None:
    """Names of the classes of boxes, where examples have them as VOC's and COCO's do."""
    inner = getattr(features["objects"], "feature", None) if "objects" in features else None
    if inner is None or not {"bbox", "label"} <= set(inner):
        return None
    label = inner["label"]
    return tuple(label.names) if label.names else tuple(map(str, range(label.num_classes)))


def _with_objects(
    source: Source,
    found: Sequence[dict[str, np.ndarray]],
    names: tuple[str, ...],
    first_pixel: float,
    strict: bool,
) -> Source:
    """The source with boxes in pixels and image-level targets; rows that were skipped are left out.

    VOC's boxes count pixels from 1, and TFDS keeps that: here they begin at 0.
    """
    skipped = {int(where.removeprefix("number ")) for where, _ in source.skipped}
    rows = [row for i, row in enumerate(found) if i not in skipped]
    repairs = BoxRepairs()
    objects = []
    for i, row in enumerate(rows):
        height, width = _size(source, i)
        corners = row["bbox"][:, [1, 0, 3, 2]] * np.array([width, height, width, height])
        corners[:, :2] -= first_pixel
        marked = Objects.of(corners, row["label"], row.get("is_difficult"), row.get("is_crowd"))
        objects.append(repairs.inside(marked, height, width, f"number {i}"))
    told = repairs.report(source.name, strict)
    return dataclasses.replace(
        source,
        labels=None,
        targets=image_targets(objects, len(names)),
        objects=tuple(objects),
        repairs=told,
        fingerprint=digest([source.fingerprint.encode(), *(o.tobytes() for o in objects)], None),
    )


def _size(source: Source, index: int) -> tuple[int, int]:
    if source.array is not None:
        return source.array.shape[1], source.array.shape[2]
    header = images.read_header(source.encoded[index])
    return header.height, header.width


def _splits(name: str, there: Sequence[str], split: str) -> tuple[list[str], bool]:
    """Names of the TFDS splits to read, and whether they are still to be cut 80/20.

    Args:
        name: "builder/configuration/version".
        there: splits that there are.
        split: "train", "test" or "all".
    """
    if name.startswith("voc/2007") and {"train", "validation", "test"} <= set(there):
        trained = ["train", "validation"]  # VOC's trainval
        return {"train": trained, "test": ["test"], "all": [*trained, "test"]}[split], False
    if name.startswith(_NO_TEST_LABELS) and "validation" in there:
        there = [part for part in there if not part.startswith("test")]
    test = next((part for part in ("test", "validation") if part in there), None)
    train = "train" if "train" in there else next((part for part in there if part != test), None)
    if train is None:
        train, test = test, None
    if train is None:
        raise UserError(
            f"`data` must be a TFDS data set with a split. Received: 'tfds:{name}' without one"
        )
    if test is None:
        return [train], split != "all"
    return {"train": [train], "test": [test], "all": [train, test]}[split], False


def _examples(
    builder: Any, parts: Sequence[str], image_key: str, label_key: str | None
) -> Iterator[_Example]:
    """The examples of these TFDS splits in the stored order."""
    for part in parts:
        dataset = builder.as_dataset(
            split=part,
            shuffle_files=False,
            decoders={image_key: tfds.decode.SkipDecoding()},
            read_config=tfds.ReadConfig(interleave_cycle_length=1, add_tfds_id=False),
        )
        for example in tfds.as_numpy(dataset):
            label = -1 if label_key is None else int(example[label_key])
            objects = example.get("objects")
            name = example.get(_NAME_KEY, b"")
            yield _Example(
                example[image_key],
                label,
                objects if isinstance(objects, dict) else {},
                name.decode() if isinstance(name, bytes) else "",
            )


def _limited(name: str, examples: Iterator[_Example]) -> Iterator[_Example]:
    """The examples, as long as they fit the memory."""
    size = 0
    for example in examples:
        size += len(example.data)
        if size > MAX_BYTES:
            raise UserError(
                f"the images must be at most {MAX_BYTES / 2**30:.0f} GiB to be held in memory; "
                f"pack them (burn-tf data pack tfds:{name} --output FOLDER) and give "
                f"packed:FOLDER. Received: 'tfds:{name}'"
            )
        yield example


def _source(
    name: str,
    split: str,
    rows: Sequence[_Example],
    names: tuple[str, ...] | None,
    labelled: bool,
    strict: bool,
) -> Source:
    found = files.scan_bytes([row.data for row in rows])
    skipped = report_skipped(
        name, len(rows), [(f"number {i}", why) for i, why in found.failures], strict
    )
    if len(found.keep) < 2:
        raise UserError(
            "`data` must hold at least 2 readable images. "
            f"Received: {name!r} with {len(found.keep)}"
        )
    encoded = tuple(rows[i].data for i in found.keep)
    labels = np.array([rows[i].label for i in found.keep], np.int64) if labelled else None
    stored = found.array is None
    return Source(
        name=name,
        split=split,
        labels=labels,
        class_names=names,
        fingerprint=digest(encoded, labels),
        skipped=skipped,
        array=found.array,
        kinds=found.kinds if stored else None,
        encoded=encoded if stored else (),
    )
