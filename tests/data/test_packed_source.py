"""Packed images train and check like the files they were made of; damage is replaced or refused."""

import dataclasses
import os

import numpy as np
import pytest
import tensorflow as tf
from absl import logging

from burn_tf._checks import UserError
from burn_tf.data import Policy, check_source, load_source, pack_source, views_dataset
from burn_tf.data.packed_source import cached, with_substitutes
from tests.data.test_coco import annotation, write_part
from tests.data.test_packing import folder, photograph

__all__ = ["folder"]

CROP = Policy("crop", crop_area=(0.02, 0.3), jitter=0.0, grey=0.0, blur=0.0)


@pytest.fixture
def packed(folder, tmp_path):
    """The folder of `test_packing`, in three files per split."""
    pack_source(str(folder), tmp_path / "packed", shards=3)
    return tmp_path / "packed"


def made(source, policy="moco_v2", **arguments):
    defaults = {"num_views": 2, "batch_size": 4, "image_size": 32, "seed": 3, "epochs": 2}
    dataset = views_dataset(source, policy, labels=True, **(defaults | arguments))
    return [tf.nest.map_structure(lambda tensor: tensor.numpy(), batch) for batch in dataset]


def same(first, second):
    assert len(first) == len(second) > 0
    tf.nest.map_structure(np.testing.assert_array_equal, first, second)


@pytest.mark.parametrize(("policy", "views"), [("moco_v2", 2), (CROP, 1)])
def test_views_equal_those_of_the_files_bit_for_bit(folder, packed, policy, views, monkeypatch):
    parts = []
    crop = tf.io.decode_and_crop_jpeg

    def noted(*arguments, **options):
        parts.append(1)
        return crop(*arguments, **options)

    monkeypatch.setattr(tf.io, "decode_and_crop_jpeg", noted)
    files = made(load_source(str(folder)), policy, num_views=views)
    assert not parts
    same(made(load_source(f"packed:{packed}"), policy, num_views=views), files)
    assert parts
    held = cached(load_source(f"packed:{packed}"))
    same(made(held, policy, num_views=views, workers=1), files)


def test_a_run_goes_on_in_the_middle(packed):
    source = load_source(f"packed:{packed}")
    same(made(source, start_step=3), made(source)[3:])


def test_the_fingerprint_is_that_of_the_images(folder, packed, tmp_path):
    pack_source(str(folder), tmp_path / "other", shards=1)
    first, second = (load_source(f"packed:{f}") for f in (packed, tmp_path / "other"))
    assert first.fingerprint == second.fingerprint
    photograph(20).save(folder / "train" / "cat" / "0.jpg")
    pack_source(str(folder), tmp_path / "third", shards=1)
    assert load_source(f"packed:{tmp_path / 'third'}").fingerprint != first.fingerprint
    assert load_source(f"packed:{packed}", "test").fingerprint != first.fingerprint


def test_all_is_train_and_test(packed):
    train, test, both = (load_source(f"packed:{packed}", s) for s in ("train", "test", "all"))
    assert both.num_images == 14 and both.split == "all"
    np.testing.assert_array_equal(both.labels, np.concatenate([train.labels, test.labels]))
    np.testing.assert_array_equal(both.image(12), test.image(1))


def spoil(path, place):
    """Flip a bit, and change the time even on a coarse clock."""
    data = bytearray(path.read_bytes())
    data[place] ^= 4
    path.write_bytes(data)
    os.utime(path, ns=(1, 1))


def spoil_behind_the_back(path, place):
    """The same, and neither size nor time tell."""
    state = path.stat()
    spoil(path, place)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


@pytest.fixture
def told(monkeypatch):
    """The warnings."""
    lines = []
    monkeypatch.setattr(logging, "warning", lambda text, *rest: lines.append(text % rest))
    return lines


def test_damaged_records_are_replaced_counted_and_told(packed, told):
    whole = load_source(f"packed:{packed}")
    spoil(packed / "train-00001-of-00003.tfrecord", 500)
    source = load_source(f"packed:{packed}")
    assert source.num_images == 11 and len(told) == 1 and "1 of 11 images" in told[0]
    assert "are damaged" in told[0] and "others are shown" in told[0]
    ((name, reason),) = source.skipped
    assert reason == "damaged record in train-00001-of-00003.tfrecord" and name in told[0]
    position = whole.records.names.tolist().index(name.encode())
    other = next(i for i in range(position + 1, 11) if whole.labels[i] == whole.labels[position])
    np.testing.assert_array_equal(source.labels, whole.labels)
    np.testing.assert_array_equal(source.image(position), whole.image(other))
    assert source.fingerprint == whole.fingerprint
    with pytest.raises(UserError, match="leave out --strict"):
        load_source(f"packed:{packed}", strict=True)
    check = check_source(f"packed:{packed}")
    corrupt = next(f for f in check.findings if f.kind == "corrupt")
    assert len(corrupt.images) == 1 and name in corrupt.images[0]
    assert "duplicate" not in [finding.kind for finding in check.findings] and check.usable
    assert check.splits["train"]["images"] == 10


def test_parts_are_the_same_whatever_is_damaged(packed, tmp_path, told):
    classes = tmp_path / "classes.txt"
    classes.write_text("cat\ndog\n")
    spec = f"classes:{classes}:packed:{packed}"
    whole = load_source(spec)
    spoil(packed / "train-00001-of-00003.tfrecord", 500)
    part = load_source(spec)
    assert part.fingerprint == whole.fingerprint and part.num_images == 11


def test_a_class_that_is_lost_shows_another_with_its_labels(packed):
    whole = load_source(f"packed:{packed}")
    all_records = whole.records
    assert all_records is not None

    def without(damaged):
        records = dataclasses.replace(all_records, damaged=damaged)
        return with_substitutes(dataclasses.replace(whole, records=records))

    shown = without(whole.labels == 0)
    assert set(shown.labels) == {1} and shown.fingerprint == whole.fingerprint
    np.testing.assert_array_equal(shown.image(0), whole.image(int(np.argmax(whole.labels))))
    with pytest.raises(UserError, match="must hold a readable image"):
        without(np.ones(11, bool))


def test_a_file_that_was_cut_short(packed):
    path = packed / "train-00002-of-00003.tfrecord"
    path.write_bytes(path.read_bytes()[:-10])
    source = load_source(f"packed:{packed}")
    assert source.num_images == 11 and len(source.skipped) == 1
    assert source.skipped[0][1] == "train-00002-of-00003.tfrecord ends before it"
    path.write_bytes(b"")
    assert len(load_source(f"packed:{packed}").skipped) == 3
    path.unlink()
    with pytest.raises(UserError, match=r"train-00002-of-00003\.tfrecord is missing"):
        load_source(f"packed:{packed}")


def test_a_copy_without_its_times_is_read_through_and_whole(packed):
    before = load_source(f"packed:{packed}")
    for path in packed.glob("*.tfrecord"):
        os.utime(path, ns=(5, 5))
    after = load_source(f"packed:{packed}")
    assert after.fingerprint == before.fingerprint and after.skipped == ()


@pytest.mark.parametrize("policy", ["moco_v2", CROP])
def test_damage_behind_the_back_is_met_replaced_and_found(packed, policy, told):
    """Neither size nor time tell: the checksum does, whenever the record is read."""
    path = packed / "train-00000-of-00003.tfrecord"
    whole = load_source(f"packed:{packed}")
    spoil_behind_the_back(path, 500)
    source = load_source(f"packed:{packed}")
    assert source.fingerprint == whole.fingerprint and not source.skipped and not told
    batches = made(source, policy, epochs=3)
    assert len(told) == 1 and told[0].startswith("1 damaged image(s) met so far, last: train/")
    same(made(source, policy, epochs=3, start_step=3), batches[3:])
    np.testing.assert_array_equal(source.image(0), whole.image(1))
    assert whole.labels[0] == whole.labels[1]
    os.utime(path, ns=(1, 1))  # The damage is known at the start now, and nothing else changes.
    known = load_source(f"packed:{packed}")
    assert len(known.skipped) == 1 and known.fingerprint == whole.fingerprint
    same(made(known, policy, epochs=3), batches)
    kinds = [finding.kind for finding in check_source(f"packed:{packed}", few=0).findings]
    assert kinds == ["corrupt", "leak"]


def test_damage_behind_the_back_with_strict_stops_reading(packed):
    spoil_behind_the_back(packed / "train-00000-of-00003.tfrecord", 500)
    source = load_source(f"packed:{packed}", strict=True)
    with pytest.raises(tf.errors.DataLossError):
        made(source, epochs=3)
    with pytest.raises(UserError, match="every record must be sound"):
        cached(source)


def test_a_file_that_vanishes_is_no_damaged_record(packed):
    source = load_source(f"packed:{packed}")
    (packed / "train-00000-of-00003.tfrecord").unlink()
    with pytest.raises(tf.errors.NotFoundError):
        made(source)


def test_boxes_are_those_of_the_image_that_is_shown(tmp_path, told):
    """They are looked up by the index: damage that is met behind the back ends the reading."""
    sizes = {i: (140 + i, 30) for i in range(3)}
    marks = [annotation(i, 3, [1 + i, 2, 10, 8]) for i in range(3)]
    write_part(tmp_path / "c", "train2017", sizes, marks)
    write_part(tmp_path / "c", "val2017", {3: (140, 30), 4: (40, 30)}, [])
    pack_source(f"coco:{tmp_path / 'c'}", tmp_path / "packed")
    (path,) = (tmp_path / "packed").glob("train-*")
    spec = f"packed:{tmp_path / 'packed'}"
    whole = load_source(spec)
    spoil_behind_the_back(path, 100)
    source = load_source(spec)
    with pytest.raises(tf.errors.DataLossError):
        source.loader()(tf.constant(0, tf.int64))
    assert len(made(source, CROP, batch_size=1)) == 6 and len(told) == 1
    os.utime(path, ns=(1, 1))
    known = load_source(spec)
    assert known.fingerprint == whole.fingerprint and known.num_images == 3
    np.testing.assert_array_equal(known.image(0), whole.image(1))
    assert [o.tobytes() for o in known.objects] == [whole.objects[i].tobytes() for i in (1, 1, 2)]


def test_a_cache_of_damaged_records(packed, told):
    spoil(packed / "train-00001-of-00003.tfrecord", 500)
    spoil_behind_the_back(packed / "train-00000-of-00003.tfrecord", 500)
    source = load_source(f"packed:{packed}")
    held = cached(source)
    assert len(told) == 2 and "1 of 11" in told[1]
    assert len(source.skipped) == 1 and len({name for name, _ in held.skipped}) == 2
    assert held.fingerprint == source.fingerprint
    same(made(held), made(source))


def test_small_images_with_a_damaged_record(tmp_path, told):
    pack_source("digits", tmp_path, shards=2)
    digits = load_source("digits")
    spoil_behind_the_back(tmp_path / "train-00000-of-00002.tfrecord", 100)
    source = load_source(f"packed:{tmp_path}")
    assert source.fingerprint == load_source(f"packed:{tmp_path}").fingerprint
    assert source.num_images == 1438 and len(source.skipped) == 1 and "1 of 1438" in told[0]
    other = int(np.flatnonzero(digits.labels == digits.labels[0])[1])
    np.testing.assert_array_equal(source.array[0], digits.array[other])
    np.testing.assert_array_equal(source.array[1:], digits.array[1:])
    np.testing.assert_array_equal(source.labels, digits.labels)
    check = check_source(f"packed:{tmp_path}", tiny=1)
    corrupt = next(f for f in check.findings if f.kind == "corrupt")
    assert check.usable and corrupt.images[0].startswith("number 0")
    train, test = pack_source(f"packed:{tmp_path}", tmp_path / "anew")
    assert (train.images, len(train.left_out), test.images) == (1437, 1, 359)


def test_a_check_finds_what_it_finds_in_files(packed):
    photographs = check_source(f"packed:{packed}", few=0)
    # The test images of `folder` are copies of train images.
    assert [finding.kind for finding in photographs.findings] == ["leak"]
    assert "train/cat/0.jpg" in photographs.findings[0].images[0]
    assert photographs.splits["train"] == {"images": 11, "classes": 2, "objects": None}


def test_parts_by_name(packed, tmp_path):
    names, classes = tmp_path / "names.txt", tmp_path / "classes.txt"
    names.write_text("0.jpg\ncat/7.png\n")
    source = load_source(f"images:{names}:packed:{packed}")
    assert source.records.names.tolist() == [b"train/cat/0.jpg", b"train/cat/7.png"]
    assert load_source(f"images:{names}:packed:{packed}", "test").num_images == 3
    classes.write_text("cat\ndog\n")
    assert load_source(f"classes:{classes}:packed:{packed}").num_images == 11


def test_small_images_of_one_size_are_decoded_once(tmp_path):
    pack_source("digits", tmp_path, shards=2)
    source, digits = load_source(f"packed:{tmp_path}"), load_source("digits")
    np.testing.assert_array_equal(source.array, digits.array)
    subset = source.subset(np.array([3, 5]))
    np.testing.assert_array_equal(subset.image(1), digits.array[5])
    assert cached(source) is source


def test_not_packed(tmp_path, folder):
    for spec in (f"packed:{tmp_path / 'none'}", f"packed:{folder}"):
        with pytest.raises(UserError, match="as `burn-tf data pack SOURCE --output FOLDER` writes"):
            load_source(spec)
    with pytest.raises(UserError, match="a cache needs packed data"):
        cached(load_source(str(folder)))
