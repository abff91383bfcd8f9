"""Images inside TFRecord files, each of them reached alone and in any order."""

from __future__ import annotations

import dataclasses
import functools
import os
import re
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from burn_tf._checks import UserError

IMAGE_KEY, LABEL_KEY, NAME_KEY = "image", "label", "file_name"
# A record's length (8 bytes) and its checksum (4) stand before its data, the data's checksum after.
FRAME_BYTES = 16


@dataclasses.dataclass(frozen=True, eq=False)
class Records:
    """Where N encoded images lie: `tf.train.Example`s in TFRecord files.

    A record is read by its place, so that image i needs no other one: TensorFlow's record reader
    is set to its first byte and stops after it, and compares the record's checksum. 0.1 ms for
    100 kB more than a file of its own would take (2026-11-22), against 1 ms to decode it.

    Args:
        shards: the files.
        shard: int32 [N], which of them.
        offsets: int64 [N], where the record begins, bytes.
        lengths: int64 [N], of the record's data, bytes.
        shapes: int32 [N, 2], height and width of the image in pixels.
        names: bytes [N], what the images were called before.
        digests: uint8 [N, 32], SHA-256 of the encoded images.
        held: string [N], the encoded images themselves where they are in memory; else None.
        damaged: bool [N], those known to be damaged, in whose places others may be; None: none.
        strict: damage is an error where it is met; else others may be shown (`image_reader`).
    """

    shards: tuple[str, ...]
    shard: np.ndarray
    offsets: np.ndarray
    lengths: np.ndarray
    shapes: np.ndarray
    names: np.ndarray
    digests: np.ndarray
    held: tf.Tensor | None = None
    damaged: np.ndarray | None = None
    strict: bool = False

    def __len__(self) -> int:
        return len(self.shard)

    def take(self, indices: np.ndarray) -> Records:
        """The records of these positions (int [M]), in this order."""
        columns = ("shard", "offsets", "lengths", "shapes", "names", "digests")
        chosen = {name: getattr(self, name)[indices] for name in columns}
        held = None if self.held is None else tf.gather(self.held, indices)
        damaged = None if self.damaged is None else self.damaged[indices]
        return dataclasses.replace(self, **chosen, held=held, damaged=damaged)

    def followed_by(self, other: Records) -> Records:
        """These records, and then those of other files."""
        columns = ("offsets", "lengths", "shapes", "names", "digests")
        both = {name: np.concatenate([getattr(self, name), getattr(other, name)])
                for name in columns}  # fmt: skip
        shard = np.concatenate([self.shard, other.shard + np.int32(len(self.shards))])
        damaged = None
        if self.damaged is not None and other.damaged is not None:
            damaged = np.concatenate([self.damaged, other.damaged])
        shards = self.shards + other.shards
        return Records(shards, shard, **both, damaged=damaged, strict=self.strict)

    def reader(self) -> Callable[[tf.Tensor], tf.Tensor]:
        """A graph function without Python in it: int64 index -> the bytes of an image file.

        It raises `tf.errors.DataLossError` at a damaged record.
        """
        if self.held is not None:
            held = self.held
            return lambda index: tf.gather(held, index)
        place = self._placer()
        return lambda index: image_of(_record(*place(index)))

    def attempt(self) -> Callable[[tf.Tensor], tf.Tensor]:
        """A graph function: int64 index -> a whole record, b"" for one that cannot be read."""
        place = self._placer()
        return lambda index: _attempted(*place(index))

    def _placer(self) -> Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor, tf.Tensor]]:
        """A graph function: int64 index -> file, first byte and length of a record."""
        with tf.init_scope(), tf.device("CPU:0"):
            shards = tf.constant(self.shards, tf.string)
            shard = tf.constant(self.shard, tf.int32)
            # One row per image, gathered at once.
            places = tf.constant(np.stack([self.offsets, self.lengths], axis=1), tf.int64)

        def place(index: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            row = tf.gather(places, index)
            return tf.gather(shards, tf.gather(shard, index)), row[0], row[1]

        return place

    @functools.cached_property
    def _read(self) -> Callable[[tf.Tensor], tf.Tensor]:
        return self.reader()

    def read(self, index: int) -> bytes:
        """The bytes of one image file.

        Raises:
            ValueError: a damaged record, or one whose file is gone.
        """
        with tf.device("CPU:0"):
            try:
                return bytes(self._read(tf.constant(index, tf.int64)).numpy())
            except tf.errors.OpError as error:
                raise ValueError(reason(error)) from error

    def in_memory(self) -> Records:
        """The same records with their images in memory, read once; b"" for those `damaged`.

        Raises:
            UserError: they are larger than the memory that is free, or `strict` and one is damaged.
        """
        if self.held is not None:
            return self
        needed, free = int(self.lengths.sum()), free_memory()
        if free is not None and needed > 0.9 * free:
            raise UserError(
                f"the images, {needed / 2**30:.1f} GiB, must fit the free memory, "
                f"{free / 2**30:.1f} GiB; leave out the cache. Received: {len(self)} images"
            )
        dataset = tf.data.Dataset.range(len(self))
        read = self.reader() if self.strict else _or_nothing(self.attempt())
        dataset = dataset.map(read, num_parallel_calls=tf.data.AUTOTUNE)
        try:
            held = dataset.batch(len(self)).get_single_element()
        except tf.errors.DataLossError as error:
            raise UserError(
                f"every record must be sound: {reason(error)}; pack the data anew. "
                f"Received: {os.path.dirname(self.shards[0])!r}"
            ) from error
        damaged = tf.equal(held, b"").numpy()
        known = damaged if self.damaged is None else damaged | self.damaged
        return dataclasses.replace(self, held=held, damaged=known)


def _records(path: tf.Tensor, offset: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
    """The data set of the records from `offset` on."""
    return tf.raw_ops.TFRecordDatasetV2(
        filenames=path,
        compression_type="",
        buffer_size=length + FRAME_BYTES,
        byte_offsets=offset,
    )


def _record(path: tf.Tensor, offset: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
    """The data of the one record that begins at `offset`."""
    kind = {"output_types": [tf.string], "output_shapes": [[]]}
    dataset = _records(path, offset, length)
    first = tf.raw_ops.TakeDataset(input_dataset=dataset, count=1, **kind)
    return tf.raw_ops.DatasetToSingleElement(dataset=first, **kind)[0]


def _attempted(path: tf.Tensor, offset: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
    """The same, or b"" where it cannot be read."""
    kind = {"output_types": [tf.string, tf.string], "output_shapes": [[], []]}

    def tensors(number: int) -> tf.Tensor:
        components = [tf.constant(b"")] * number
        return tf.raw_ops.TensorDataset(components=components, output_shapes=[[]] * number)

    # In step with a data set of one element: a file that is gone would be tried for ever.
    pair = [tensors(1), _records(path, offset, length)]
    dataset = tf.raw_ops.ZipDataset(input_datasets=pair, **kind)
    dataset = tf.raw_ops.IgnoreErrorsDataset(input_dataset=dataset, **kind)
    dataset = tf.raw_ops.ConcatenateDataset(
        input_dataset=dataset, another_dataset=tensors(2), **kind
    )
    first = tf.raw_ops.TakeDataset(input_dataset=dataset, count=1, **kind)
    return tf.raw_ops.DatasetToSingleElement(dataset=first, **kind)[1]


def _or_nothing(attempt: Callable[[tf.Tensor], tf.Tensor]) -> Callable[[tf.Tensor], tf.Tensor]:
    """int64 index -> the bytes of an image file, or b""."""

    def read(index: tf.Tensor) -> tf.Tensor:
        record = attempt(index)
        return tf.cond(tf.equal(record, b""), lambda: record, lambda: image_of(record))

    return read


def image_of(record: tf.Tensor) -> tf.Tensor:
    """In a graph: the bytes of the image file that a record holds."""
    wanted = {IMAGE_KEY: tf.io.FixedLenFeature([], tf.string)}
    return tf.io.parse_single_example(record, wanted)[IMAGE_KEY]


def example_bytes(image: bytes, label: int | None, name: str) -> bytes:
    """A `tf.train.Example` with TFDS' names for the features of ImageNet."""

    def of_bytes(value: bytes) -> tf.train.Feature:
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))

    features = {IMAGE_KEY: of_bytes(image), NAME_KEY: of_bytes(name.encode())}
    if label is not None:
        features[LABEL_KEY] = tf.train.Feature(int64_list=tf.train.Int64List(value=[label]))
    example = tf.train.Example(features=tf.train.Features(feature=features))
    return bytes(example.SerializeToString(deterministic=True))


def reason(error: Exception) -> str:
    """The short form of what TensorFlow says about a record."""
    text = " ".join(str(getattr(error, "message", error)).split())
    known = re.search(r"(corrupted|truncated) record at \d+", text)
    return known[0] if known else text.rpartition("}} ")[2].partition(" [Op:")[0]


def free_memory() -> int | None:
    """Bytes that a program may take without swapping; None where the system does not say."""
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            for line in lines:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        return None
    return None
