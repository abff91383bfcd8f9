"""Packed images train and check like the files they were made of; damage is skipped or refused."""

import os

import numpy as np
import pytest
import tensorflow as tf
from absl import logging

from burn_tf._checks import UserError
from burn_tf.data import Policy, check_source, load_source, pack_source, views_dataset
from burn_tf.data.packed_source import cached
from tests.data.test_packing import folder, photograph

__all__ = ["folder"]

CROP = Policy("crop", crop_area=(0.02, 0.3), jitter=0.0, grey=0.0, blur=0.0)


@pytest.fixture
def packed(folder, tmp_path):
    """The folder of `test_packing`, in three files per split."""
    pack_source(str(folder), tmp_path / "packed", shards=3)
    return tmp_path / "packed"


def made(source, policy="burn_authors", **arguments):
    defaults = {"num_views": 2, "batch_size": 4, "image_size": 32, "seed": 3, "epochs": 2}
    dataset = views_dataset(source, policy, labels=True, **(defaults | arguments))
    return [tf.nest.map_structure(lambda tensor: tensor.numpy(), batch) for batch in dataset]


def same(first, second):
    assert len(first) == len(second) > 0
    tf.nest.map_structure(np.testing.assert_array_equal, first, second)


@pytest.mark.parametrize(("policy", "views"), [("burn_authors", 2), (CROP, 1)])
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


def test_damaged_records_are_skipped_counted_and_told(packed, monkeypatch):
    whole = load_source(f"packed:{packed}")
    told = []
    monkeypatch.setattr(logging, "warning", lambda text, *rest: told.append(text % rest))
    spoil(packed / "train-00001-of-00003.tfrecord", 500)
    source = load_source(f"packed:{packed}")
    assert source.num_images == 10 and len(told) == 1 and "1 of 11 images" in told[0]
    ((name, reason),) = source.skipped
    assert reason == "damaged record in train-00001-of-00003.tfrecord" and name in told[0]
    position = whole.records.names.tolist().index(name.encode())
    np.testing.assert_array_equal(source.labels, np.delete(whole.labels, position))
    np.testing.assert_array_equal(source.image(position), whole.image(position + 1))
    assert source.fingerprint != whole.fingerprint
    with pytest.raises(UserError, match="leave out --strict"):
        load_source(f"packed:{packed}", strict=True)
    corrupt = next(f for f in check_source(f"packed:{packed}").findings if f.kind == "corrupt")
    assert len(corrupt.images) == 1 and name in corrupt.images[0]


def test_a_file_that_was_cut_short(packed):
    path = packed / "train-00002-of-00003.tfrecord"
    path.write_bytes(path.read_bytes()[:-10])
    source = load_source(f"packed:{packed}")
    assert source.num_images == 10
    assert source.skipped[0][1] == "train-00002-of-00003.tfrecord ends before it"
    path.write_bytes(b"")
    assert load_source(f"packed:{packed}").num_images == 8
    path.unlink()
    with pytest.raises(UserError, match=r"train-00002-of-00003\.tfrecord is missing"):
        load_source(f"packed:{packed}")


def test_a_copy_without_its_times_is_read_through_and_whole(packed):
    before = load_source(f"packed:{packed}")
    for path in packed.glob("*.tfrecord"):
        os.utime(path, ns=(5, 5))
    after = load_source(f"packed:{packed}")
    assert after.fingerprint == before.fingerprint and after.skipped == ()


def test_damage_behind_the_back_stops_reading_and_is_found(packed):
    """Neither size nor time tell: the checksum does, whenever the record is read."""
    path = packed / "train-00000-of-00003.tfrecord"
    state = path.stat()
    spoil(path, 500)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    source = load_source(f"packed:{packed}")
    assert source.num_images == 11
    with pytest.raises(tf.errors.DataLossError):
        made(source, epochs=3)
    kinds = [finding.kind for finding in check_source(f"packed:{packed}", few=0).findings]
    assert kinds == ["corrupt", "leak"]


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
