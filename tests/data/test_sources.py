"""`load_source` on folders and lists: labels, damage, fingerprints, what a graph reads."""

import numpy as np
import pytest
import tensorflow as tf
from absl import logging
from PIL import Image

from burn_tf._checks import UserError
from burn_tf.data import Source, load_source, sources


@pytest.fixture
def folder(tmp_path):
    """Two classes of five pictures of 16 x 16 each."""
    generator = np.random.default_rng(0)
    for label in ("cat", "dog"):
        (tmp_path / label).mkdir()
        for i in range(5):
            pixels = generator.integers(0, 256, [16, 16, 3], dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / label / f"{i}.png")
    return tmp_path


@pytest.fixture
def warnings(monkeypatch):
    found = []
    monkeypatch.setattr(logging, "warning", lambda text, *args: found.append(text % args))
    return found


def test_class_folders(folder):
    train, test = load_source(str(folder)), load_source(str(folder), split="test")
    assert (train.num_images, test.num_images) == (8, 2)
    np.testing.assert_array_equal(train.labels, [0] * 4 + [1] * 4)
    np.testing.assert_array_equal(test.labels, [0, 1])
    assert train.labels.dtype == np.int64
    assert train.class_names == ("cat", "dog")
    assert train.array.shape == (8, 16, 16, 3)


def test_flat_folder(tmp_path):
    for i in range(4):
        Image.new("RGB", (10 + i, 20), (i, 0, 0)).save(tmp_path / f"{i}.png")
    source = load_source(str(tmp_path), split="all")
    assert source.labels is None
    assert source.class_names is None
    assert source.array is None
    assert source.image(3).shape == (20, 13, 3)
    np.testing.assert_array_equal(source.label_tensor, [-1] * 4)


def test_damaged_files_are_skipped_counted_and_told_in_one_line(folder, warnings):
    (folder / "cat" / "0.png").write_bytes(b"")
    (folder / "dog" / "1.png").write_text("no picture")
    source = load_source(str(folder), split="all")
    assert source.num_images == 8
    np.testing.assert_array_equal(source.labels, [0] * 4 + [1] * 4)
    assert [path.removeprefix(f"{folder}/") for path, _ in source.skipped] == [
        "cat/0.png",
        "dog/1.png",
    ]
    assert len(warnings) == 1
    assert "2 of 10 images" in warnings[0]
    assert "cat/0.png (empty file)" in warnings[0]
    assert "\n" not in warnings[0]


def test_strict_refuses_damage(folder, warnings):
    (folder / "cat" / "0.png").write_bytes(b"")
    with pytest.raises(UserError, match=r"1 of 10 images .*cat/0.png \(empty file\)"):
        load_source(str(folder), split="all", strict=True)
    assert warnings == []


def test_sound_folder_is_quiet(folder, warnings):
    assert load_source(str(folder), strict=True).skipped == ()
    assert warnings == []


@pytest.mark.parametrize("sound", [0, 1])
def test_fewer_than_two_images(tmp_path, sound):
    for i in range(3):
        (tmp_path / f"{i}.png").write_bytes(b"")
    for i in range(sound):
        Image.new("RGB", (8, 8)).save(tmp_path / f"{i}.png")
    with pytest.raises(UserError, match="at least 2 readable images"):
        load_source(str(tmp_path), split="all")


def test_a_split_without_images(tmp_path):
    for label in ("cat", "dog"):
        (tmp_path / label).mkdir()
        Image.new("RGB", (8, 8)).save(tmp_path / label / "0.png")
    with pytest.raises(UserError, match="split 'test' must hold a readable image"):
        load_source(str(tmp_path), split="test")


def test_two_images_are_enough(tmp_path):
    for i in range(2):
        Image.new("RGB", (8, 8)).save(tmp_path / f"{i}.png")
    assert load_source(str(tmp_path)).num_images == 1
    assert load_source(str(tmp_path), split="all").num_images == 2


def test_fingerprint_follows_names_sizes_and_labels(folder):
    before = load_source(str(folder), split="all").fingerprint
    assert before == load_source(str(folder), split="all").fingerprint
    (folder / "cat" / "0.png").rename(folder / "cat" / "9.png")
    renamed = load_source(str(folder), split="all").fingerprint
    (folder / "dog").rename(folder / "ant")
    assert len({before, renamed, load_source(str(folder), split="all").fingerprint}) == 3


def test_fingerprint_survives_a_move(folder, tmp_path_factory):
    before = load_source(str(folder), split="all").fingerprint
    moved = tmp_path_factory.mktemp("other") / "place"
    folder.rename(moved)
    assert load_source(str(moved), split="all").fingerprint == before


def test_list_file(folder):
    lines = [f"{label}/{i}.png\t{label}" for label in ("dog", "cat") for i in range(5)]
    (folder / "all.txt").write_text("\n".join(lines))
    source = load_source(f"list:{folder}/all.txt", split="all")
    np.testing.assert_array_equal(source.labels, [1] * 5 + [0] * 5)
    wanted = np.asarray(Image.open(folder / "dog" / "0.png"))
    np.testing.assert_array_equal(source.image(0), wanted)


@pytest.mark.parametrize("mixed", [False, True])
def test_graph_loader_gives_the_pixels_of_image(tmp_path, mixed):
    generator = np.random.default_rng(0)
    for i in range(4):
        pixels = generator.integers(0, 256, [150, 140 + i, 3], dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{i}.jpg")
    if mixed:
        Image.fromarray(pixels).convert("RGBA").save(tmp_path / "4.png")
    source = load_source(str(tmp_path), split="all")
    assert source.array is None
    dataset = tf.data.Dataset.range(source.num_images).map(source.loader())
    for i, image in enumerate(dataset):
        np.testing.assert_array_equal(image, source.image(i))


def test_encoded_images_are_read_like_files(tmp_path):
    Image.new("RGB", (30, 20), (9, 8, 7)).save(tmp_path / "a.png")
    data = (tmp_path / "a.png").read_bytes()
    source = Source("mine", "train", None, None, "0", kinds=np.array([1]), encoded=(data,))
    np.testing.assert_array_equal(source.image(0), source.loader()(tf.constant(0, tf.int64)))
    assert source.num_images == 1


def test_from_array():
    grey = np.arange(2 * 4 * 5, dtype=np.uint8).reshape(2, 4, 5)
    source = Source.from_array(grey, np.array([3, 1]), name="mine")
    assert source.array.shape == (2, 4, 5, 3)
    np.testing.assert_array_equal(source.array[..., 2], grey)
    np.testing.assert_array_equal(source.label_tensor, [3, 1])
    assert source.fingerprint != Source.from_array(grey).fingerprint
    assert source.fingerprint != Source.from_array(grey + 1, np.array([3, 1])).fingerprint


def test_subset_of_every_kind(folder):
    files = load_source(str(folder), split="all")
    array = Source.from_array(np.stack([files.image(i) for i in range(10)]), files.labels)
    data = tuple(path.read_bytes() for path in sorted(folder.rglob("*.png")))
    encoded = Source("e", "all", files.labels, None, "0", kinds=np.ones(10, np.int64), encoded=data)
    for source in (files, array, encoded):
        part = source.subset(np.array([7, 2]))
        assert part.num_images == 2
        np.testing.assert_array_equal(part.labels, source.labels[[7, 2]])
        for own, index in enumerate((7, 2)):
            np.testing.assert_array_equal(part.image(own), source.image(index))
        given = part.loader()(tf.constant([0] if part.array is not None else 0, tf.int64))
        np.testing.assert_array_equal(np.reshape(given, [16, 16, 3]), source.image(7))
        others = [source.subset(np.array(indices)) for indices in ([2, 7], [7], [7, 3])]
        prints = {source.fingerprint, part.fingerprint, *(o.fingerprint for o in others)}
        assert len(prints) == 5


@pytest.mark.parametrize(
    ("array", "labels"),
    [
        (np.zeros([2, 4, 4, 3], np.float32), None),
        (np.zeros([2, 4, 4, 4], np.uint8), None),
        (np.zeros([4, 4], np.uint8), None),
        (np.zeros([0, 4, 4, 3], np.uint8), None),
        (np.zeros([2, 4, 4, 3], np.uint8), np.zeros(3)),
    ],
)
def test_from_array_refuses(array, labels):
    with pytest.raises(UserError, match="Received"):
        Source.from_array(array, labels)


def test_split_typo():
    with pytest.raises(UserError, match="Did you mean 'train'"):
        load_source("digits", split="trian")


def test_missing_folder_lists_what_there_is():
    with pytest.raises(UserError, match="digits, a folder, packed:FOLDER, tfds:NAME, list:FILE"):
        load_source("digist")


def test_digest_keeps_parts_apart():
    assert sources.digest([b"ab", b"c"], None) != sources.digest([b"a", b"bc"], None)
