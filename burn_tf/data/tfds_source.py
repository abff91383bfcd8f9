"""Images of TensorFlow Datasets, read as they are stored: "tfds:NAME"."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from burn_tf._checks import UserError, nearest
from burn_tf.data import files, folders
from burn_tf.data.sources import Source, digest, report_skipped

# Photographs stay encoded; this many bytes of them are held in memory (Imagenette has 1.5 GB).
MAX_BYTES = 4 * 2**30


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
    image_key, label_key = _keys(name, builder.info.features)
    parts, cut = _splits(name, list(builder.info.splits), split)
    rows = [row for part in parts for row in _examples(builder, part, image_key, label_key)]
    keep = list(range(len(rows)))
    if cut:
        marks = None if label_key is None else [int(row[1]) for row in rows]
        keep = folders.split_positions([str(i) for i in range(len(rows))], marks, split)
    feature = None if label_key is None else builder.info.features[label_key]
    names = None if feature is None or not feature.names else tuple(feature.names)
    return _source(
        f"tfds:{name}", split, [rows[i] for i in keep], names, label_key is not None, strict
    )


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


def _splits(name: str, there: Sequence[str], split: str) -> tuple[list[str], bool]:
    """Names of the TFDS splits to read, and whether they are still to be cut 80/20."""
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
    builder: Any, part: str, image_key: str, label_key: str | None
) -> Iterator[tuple[bytes, int]]:
    """(encoded image, label) in the stored order; label -1 where there is none."""
    dataset = builder.as_dataset(
        split=part,
        shuffle_files=False,
        decoders={image_key: tfds.decode.SkipDecoding()},
        read_config=tfds.ReadConfig(interleave_cycle_length=1, add_tfds_id=False),
    )
    size = 0
    for example in tfds.as_numpy(dataset):
        data = example[image_key]
        size += len(data)
        if size > MAX_BYTES:
            raise UserError(
                f"the split {part!r} is larger than {MAX_BYTES / 2**30:.0f} GiB; write it to a "
                f"folder of image files and give that folder. Received: 'tfds:{builder.name}'"
            )
        yield data, -1 if label_key is None else int(example[label_key])


def _source(
    name: str,
    split: str,
    rows: Sequence[tuple[bytes, int]],
    names: tuple[str, ...] | None,
    labelled: bool,
    strict: bool,
) -> Source:
    found = files.scan_bytes([data for data, _ in rows])
    skipped = report_skipped(
        name, len(rows), [(f"number {i}", why) for i, why in found.failures], strict
    )
    if len(found.keep) < 2:
        raise UserError(
            "`data` must hold at least 2 readable images. "
            f"Received: {name!r} with {len(found.keep)}"
        )
    encoded = tuple(rows[i][0] for i in found.keep)
    labels = np.array([rows[i][1] for i in found.keep], np.int64) if labelled else None
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
