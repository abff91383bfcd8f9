"""Records read by their places, against TensorFlow's own sequential reader."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.data import records
from burn_tf.data.records import Records, example_bytes

IMAGES = [bytes([i]) * (40 + 7 * i) for i in range(6)]


@pytest.fixture
def stored(tmp_path):
    """Six records in two files, four of them in the first."""
    paths = [tmp_path / "a.tfrecord", tmp_path / "b.tfrecord"]
    rows = []
    for shard, (low, high) in enumerate([(0, 4), (4, 6)]):
        with tf.io.TFRecordWriter(str(paths[shard])) as writer:
            offset = 0
            for i in range(low, high):
                data = example_bytes(IMAGES[i], i, f"{i}.jpg")
                writer.write(data)
                rows.append((shard, offset, len(data)))
                offset += len(data) + 16
        assert offset == paths[shard].stat().st_size
    places = np.array(rows, np.int64)
    return Records(
        tuple(map(str, paths)), places[:, 0].astype(np.int32), places[:, 1], places[:, 2],
        np.ones([6, 2], np.int32), np.array([b"%d.jpg" % i for i in range(6)]),
        np.zeros([6, 32], np.uint8),
    )  # fmt: skip


def read_all(found, order):
    dataset = tf.data.Dataset.from_tensor_slices(np.array(order, np.int64)).map(found.reader())
    return list(dataset.as_numpy_iterator())


def test_any_order(stored):
    order = [5, 0, 3, 3, 4, 1, 2]
    assert read_all(stored, order) == [IMAGES[i] for i in order]
    assert stored.read(2) == IMAGES[2] and len(stored) == 6


def test_the_files_are_ordinary_tfrecords(stored):
    """Features as TFDS has them for ImageNet; read in a row by TensorFlow."""
    wanted = {
        "image": tf.io.FixedLenFeature([], tf.string),
        "label": tf.io.FixedLenFeature([], tf.int64),
        "file_name": tf.io.FixedLenFeature([], tf.string),
    }
    dataset = tf.data.TFRecordDataset(list(stored.shards))
    found = list(
        dataset.map(lambda data: tf.io.parse_single_example(data, wanted)).as_numpy_iterator()
    )
    assert [row["image"] for row in found] == IMAGES
    assert [row["label"] for row in found] == list(range(6))
    assert found[3]["file_name"] == b"3.jpg"
    assert b"label" not in example_bytes(b"x", None, "x.jpg")


def test_chosen_and_joined(stored):
    chosen = stored.take(np.array([4, 1]))
    assert read_all(chosen, [0, 1]) == [IMAGES[4], IMAGES[1]]
    joined = chosen.followed_by(stored)
    assert read_all(joined, [0, 1, 2, 7]) == [IMAGES[4], IMAGES[1], IMAGES[0], IMAGES[5]]
    assert joined.names.tolist()[:3] == [b"4.jpg", b"1.jpg", b"0.jpg"]


def test_a_flipped_bit_is_seen_and_harms_no_neighbour(stored):
    with open(stored.shards[0], "r+b") as file:
        file.seek(int(stored.offsets[1]) + 12 + 20)
        byte = file.read(1)[0]
        file.seek(-1, 1)
        file.write(bytes([byte ^ 1]))
    with pytest.raises(ValueError, match="corrupted record at"):
        stored.read(1)
    assert read_all(stored, [0, 2, 3]) == [IMAGES[0], IMAGES[2], IMAGES[3]]
    with pytest.raises(UserError, match=r"corrupted record at \d+; pack the data anew"):
        dataclasses.replace(stored, strict=True).in_memory()
    held = stored.in_memory()
    assert held.damaged.tolist() == [i == 1 for i in range(6)]
    assert read_all(held, [0, 1, 5]) == [IMAGES[0], b"", IMAGES[5]]


def test_in_memory_the_files_are_not_read_again(stored, tmp_path):
    held = stored.in_memory()
    for path in stored.shards:
        (tmp_path / path).unlink()
    assert read_all(held, [5, 0]) == [IMAGES[5], IMAGES[0]]
    assert read_all(held.take(np.array([3])), [0]) == [IMAGES[3]]
    assert held.in_memory() is held
    with pytest.raises(ValueError, match="No such file"):
        stored.read(0)


def test_more_than_the_memory(stored, monkeypatch):
    monkeypatch.setattr(records, "free_memory", lambda: 100)
    with pytest.raises(UserError, match="must fit the free memory"):
        stored.in_memory()
    large = dataclasses.replace(stored, lengths=np.full(6, 10))
    monkeypatch.setattr(records, "free_memory", lambda: 61)
    with pytest.raises(UserError, match="leave out the cache"):
        large.in_memory()
