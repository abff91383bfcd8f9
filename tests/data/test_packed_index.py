"""The index: everything comes back, damage and strangers are refused, nothing is unpickled."""

import io
import json

import numpy as np
import pytest

from burn_tf._checks import UserError
from burn_tf.data import Objects
from burn_tf.data.packed_index import PackedIndex, Shard, read_index, write_index
from burn_tf.data.records import Records


@pytest.fixture
def index():
    """Three images in two files, with everything that an index may hold."""
    records = Records(
        ("/x/a", "/x/b"), np.array([0, 0, 1], np.int32), np.array([0, 60, 0]),
        np.array([44, 50, 61]), np.array([[3, 4], [5, 6], [7, 8]], np.int32),
        np.array([b"cat/1.jpg", b"cat/long name.jpg", "dog/ä.png".encode()]),
        np.arange(96, dtype=np.uint8).reshape(3, 32),
    )  # fmt: skip
    outlines = ([[1.0, 2.0, 3.0, 4.5]], {"counts": [0, 4], "size": [2, 2]})
    objects = (
        Objects.of([[0, 1, 2, 3], [4, 5, 6, 7.5]], [1, 0], [True, False], None, outlines),
        Objects.of([], []),
        Objects.of([[1, 1, 2, 2]], [2], None, [True]),
    )
    return PackedIndex(
        "coco:/data", "train", (Shard("a", 126, 17), Shard("b", 77, 2**60 + 1)), records,
        ("cat", "dog", "ox"), np.array([0, 1, 1]), np.array([[1, 1, 0], [0, 0, 0], [-1, 0, 1]],
        np.int8), objects, "boxes: 1 empty (left out)",
    )  # fmt: skip


def test_round_trip(index, tmp_path):
    write_index(tmp_path, index)
    found = read_index(tmp_path, "train")
    for name in ("data", "split", "shards", "class_names", "repairs"):
        assert getattr(found, name) == getattr(index, name)
    assert found.records.shards == (str(tmp_path / "a"), str(tmp_path / "b"))
    for name in ("shard", "offsets", "lengths", "shapes", "names", "digests"):
        np.testing.assert_array_equal(getattr(found.records, name), getattr(index.records, name))
    np.testing.assert_array_equal(found.labels, index.labels)
    np.testing.assert_array_equal(found.targets, index.targets)
    assert [o.tobytes() for o in found.objects] == [o.tobytes() for o in index.objects]
    assert [o.segmentations for o in found.objects] == [o.segmentations for o in index.objects]


def test_every_flipped_bit_is_an_error_or_changes_nothing(index, tmp_path):
    """ZIP's checksums cover what is stored; what they leave out are dates and the like."""
    write_index(tmp_path, index)
    path = tmp_path / "train.index"
    whole = path.read_bytes()
    refused = 0
    for place in range(7, len(whole), 29):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 16]) + whole[place + 1 :])
        try:
            found = read_index(tmp_path, "train")
        except UserError as error:
            assert "pack the data anew. Received: " in str(error) and "\n" not in str(error)
            refused += 1
            continue
        assert found.shards == index.shards
        np.testing.assert_array_equal(found.records.offsets, index.records.offsets)
        np.testing.assert_array_equal(found.labels, index.labels)
    assert refused > 20
    for length in (0, 10, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(UserError, match="index must be whole"):
            read_index(tmp_path, "train")


def rewritten(path, **changes):
    with np.load(path) as archive:
        arrays = {name: archive[name] for name in archive.files}
    buffer = io.BytesIO()
    np.savez(buffer, **{**arrays, **changes})
    path.write_bytes(buffer.getvalue())


def test_another_version_and_pickles(index, tmp_path):
    write_index(tmp_path, index)
    path = tmp_path / "train.index"
    meta = json.dumps({"format": "burn_tf packed images", "version": 2}).encode()
    rewritten(path, meta=np.frombuffer(meta, np.uint8))
    with pytest.raises(UserError, match=r"version 1; .* Received: .*2\) in"):
        read_index(tmp_path, "train")
    write_index(tmp_path, index)
    rewritten(path, offset=np.array([print], object))
    with pytest.raises(UserError, match="index must be whole"):
        read_index(tmp_path, "train")


def test_none_there(tmp_path):
    with pytest.raises(UserError, match="cannot read"):
        read_index(tmp_path, "test")
