"""What `pack_source` writes: bytes kept, odd files made anew, damage left out, all or nothing."""

import hashlib
import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from burn_tf._checks import UserError
from burn_tf._file_lock import hold_lock
from burn_tf.data import load_source, pack_source, packing
from tests.data.test_coco import annotation, write_part


def photograph(i):
    """A smooth picture of its own size."""
    y, x = np.mgrid[: 150 + i, : 140 + 2 * i]
    values = 128 + 100 * np.stack([np.sin(x / (9 + i)), np.cos(y / 7), np.sin((x + y) / 11)], -1)
    return Image.fromarray(values.astype(np.uint8))


@pytest.fixture
def folder(tmp_path):
    """Two classes; JPEG, PNG, CMYK, one turned by EXIF, one with a palette, and a damaged one."""
    home = tmp_path / "pictures"
    for split, number in (("train", 7), ("test", 3)):
        for label in ("cat", "dog"):
            (home / split / label).mkdir(parents=True)
        for i in range(number):
            label = "dog" if i % 2 else "cat"
            photograph(i).save(home / split / label / f"{i}.jpg", quality=90)
    train = home / "train"
    photograph(7).save(train / "cat" / "7.png")
    photograph(8).convert("CMYK").save(train / "cat" / "8.jpg")
    exif = Image.Exif()
    exif[0x0112] = 6
    photograph(9).save(train / "dog" / "9.jpg", exif=exif)
    photograph(10).quantize(16).save(train / "dog" / "A.png")
    whole = (train / "cat" / "0.jpg").read_bytes()
    (train / "dog" / "B.jpg").write_bytes(whole[: len(whole) // 2])
    return home


def stored(folder, split):
    """(file_name, image) of every record, by TensorFlow's own reader."""
    wanted = {name: tf.io.FixedLenFeature([], tf.string) for name in ("file_name", "image")}
    paths = sorted(map(str, folder.glob(f"{split}-*.tfrecord")))
    dataset = tf.data.TFRecordDataset(paths).map(lambda x: tf.io.parse_single_example(x, wanted))
    return [(r["file_name"].decode(), r["image"]) for r in dataset.as_numpy_iterator()]


def test_what_is_kept_and_what_is_made_anew(folder, tmp_path):
    home = tmp_path / "packed"
    train, test = pack_source(str(folder), home, shards=3)
    assert (train.images, train.shards, train.changed) == (11, 3, 3)
    assert [name for name, _ in train.left_out] == ["train/dog/B.jpg"]
    assert (test.images, test.shards, test.changed, test.left_out) == (3, 3, 0, ())
    found = dict(stored(home, "train"))
    assert len(found) == 11 and len(list(home.glob("train-0000?-of-00003.tfrecord"))) == 3
    for name, data in found.items():
        original = (folder / name).read_bytes()
        if name.endswith(("8.jpg", "9.jpg", "A.png")):
            assert data[:4] == b"\x89PNG"
        else:
            assert data == original
    assert sorted(path.name for path in home.iterdir() if path.name.startswith(".")) == []


def test_the_same_images_in_the_same_order(folder, tmp_path):
    pack_source(str(folder), tmp_path / "packed")
    for split in ("train", "test"):
        source, packed = (
            load_source(str(folder), split),
            load_source(f"packed:{tmp_path / 'packed'}", split),
        )
        assert packed.num_images == source.num_images and packed.split == split
        assert packed.class_names == source.class_names == ("cat", "dog")
        np.testing.assert_array_equal(packed.labels, source.labels)
        load = packed.loader()
        for i in range(source.num_images):
            np.testing.assert_array_equal(packed.image(i), source.image(i))
            np.testing.assert_array_equal(load(np.int64(i)), source.image(i))


def test_shrunk(folder, tmp_path):
    train, _ = pack_source(str(folder), tmp_path / "packed", image_size=152)
    assert train.images == 11
    for name, data in stored(tmp_path / "packed", "train"):
        original = (folder / name).read_bytes()
        before = Image.open(io.BytesIO(original)).size
        after = Image.open(io.BytesIO(data))
        if min(before) > 152:
            assert after.format == "JPEG" and min(after.size) == 152
        elif not name.endswith(("8.jpg", "9.jpg", "A.png")):
            assert data == original
    source = load_source(f"packed:{tmp_path / 'packed'}")
    assert {min(source.image(i).shape[:2]) for i in range(11)} == {
        140,
        142,
        144,
        146,
        148,
        150,
        152,
    }


def test_strict_and_a_write_that_fails_leave_nothing(folder, tmp_path, monkeypatch):
    home = tmp_path / "packed"
    with pytest.raises(UserError, match=r"1 of 12 images .* first: train/dog/B\.jpg"):
        pack_source(str(folder), home, strict=True)
    assert not home.exists()
    write, calls = tf.io.TFRecordWriter.write, []

    def full(self, record):
        calls.append(record)
        if len(calls) > 5:
            raise OSError(28, "No space left on device")
        write(self, record)

    monkeypatch.setattr(tf.io.TFRecordWriter, "write", full)
    with pytest.raises(OSError, match="No space"):
        pack_source(str(folder), home)
    assert not home.exists()
    monkeypatch.undo()
    assert pack_source(str(folder), home)[0].images == 11
    before = hashlib.sha256((home / "train.index").read_bytes()).digest()
    with pytest.raises(UserError, match="must not hold packed images yet"):
        pack_source(str(folder), home)
    assert hashlib.sha256((home / "train.index").read_bytes()).digest() == before


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left on device")])
@pytest.mark.parametrize("where", ["test", "index"])
def test_an_end_within_the_second_split_leaves_nothing(error, where, folder, tmp_path, monkeypatch):
    home = tmp_path / "packed"
    home.mkdir()
    (home / "notes.txt").write_text("mine")

    def end(*arguments):
        raise error

    if where == "index":
        written = packing.write_index

        def second(place, index):
            (end if index.split == "test" else written)(place, index)

        monkeypatch.setattr(packing, "write_index", second)
    else:
        write, calls = tf.io.TFRecordWriter.write, []

        def late(self, record):
            calls.append(record)
            (end if len(calls) > 12 else write)(self, record)

        monkeypatch.setattr(tf.io.TFRecordWriter, "write", late)
    with pytest.raises(type(error)):
        pack_source(str(folder), home)
    assert [path.name for path in home.iterdir()] == ["notes.txt"]
    monkeypatch.undo()
    assert [split.images for split in pack_source(str(folder), home)] == [11, 3]


def test_one_process_at_a_time(folder, tmp_path):
    home = tmp_path / "packed"
    at_work = pytest.raises(UserError, match="another process is still at work")
    with hold_lock(home / ".lock", 0.0), at_work:
        pack_source(str(folder), home)
    assert list(home.iterdir()) == []


def test_what_a_killed_packing_left_is_removed(folder, tmp_path):
    home = tmp_path / "packed"
    home.mkdir()
    left = [".train-00003-of-00016.abcd_123.tfrecord", ".test-00000-of-00001.abcdefgh.tfrecord"]
    left += [".train.abcdefgh.index"]
    kept = [".train-00003-of-00016.tfrecord", ".other.abcdefgh.tfrecord", "notes.tfrecord"]
    for name in left + kept:
        (home / name).write_text("x")
    pack_source(str(folder), home, shards=1)
    there = {path.name for path in home.iterdir()}
    assert set(kept) < there and not set(left) & there


def test_files_of_another_origin_are_neither_replaced_nor_deleted(folder, tmp_path):
    home = tmp_path / "packed"
    home.mkdir()
    theirs = home / "test-00000-of-00001.tfrecord"
    theirs.write_text("mine")
    with pytest.raises(UserError, match=r"must not hold test-00000-of-00001\.tfrecord yet"):
        pack_source(str(folder), home)
    assert [path.name for path in home.iterdir()] == [theirs.name]
    assert theirs.read_text() == "mine"
    assert pack_source(str(folder), home, shards=2)[1].images == 3
    assert theirs.read_text() == "mine"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"shards": 0}, "`shards`"),
        ({"shards": 13}, "`shards`"),
        ({"shards": 4}, "`shards` .* value <= 3"),
        ({"image_size": 0}, "`image_size`"),
    ],
)
def test_refuses(folder, tmp_path, arguments, told):
    with pytest.raises(UserError, match=told):
        pack_source(str(folder), tmp_path / "packed", **arguments)
    assert not (tmp_path / "packed").exists()


def test_refuses_a_file_and_what_is_not_there(folder, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="`output` must be a folder"):
        pack_source(str(folder), tmp_path / "file")
    with pytest.raises(UserError, match="no such folder"):
        pack_source(str(tmp_path / "none"), tmp_path / "packed")


def test_boxes_targets_and_outlines(tmp_path):
    marks = [annotation(7, 3, [1.5, 2, 10, 8]), annotation(9, 1, [0, 0, 20, 20], crowd=1)]
    write_part(tmp_path / "c", "train2017", {7: (140, 30), 9: (20, 20)}, marks)
    write_part(tmp_path / "c", "val2017", {3: (140, 30), 4: (40, 30)}, [])
    spec, home = f"coco:{tmp_path / 'c'}", tmp_path / "packed"
    pack_source(spec, home)
    for split in ("train", "test", "all"):
        source, packed = load_source(spec, split), load_source(f"packed:{home}", split)
        np.testing.assert_array_equal(packed.targets, source.targets)
        assert [o.tobytes() for o in packed.objects] == [o.tobytes() for o in source.objects]
        outlines = [list(o.segmentations) for o in source.objects]
        assert [list(o.segmentations) for o in packed.objects] == outlines
    with pytest.raises(UserError, match="must be left out for data with boxes"):
        pack_source(spec, tmp_path / "other", image_size=10)


def test_made_up_images_and_packing_again(tmp_path):
    pack_source("synthetic:30", tmp_path / "a")
    pack_source(f"packed:{tmp_path / 'a'}", tmp_path / "b", shards=2)
    source = load_source("synthetic:30")
    first, second = (load_source(f"packed:{tmp_path / name}") for name in "ab")
    np.testing.assert_array_equal(first.array, source.array)
    np.testing.assert_array_equal(second.array, source.array)
    assert first.fingerprint == second.fingerprint != source.fingerprint
