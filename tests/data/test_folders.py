"""Listings of folders and lists, and the split that is made where there is none."""

import os
import socket

import numpy as np
import pytest
from PIL import Image

from burn_tf._checks import UserError
from burn_tf.data import check_source, folders, load_source, pack_source


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")


def names(listing, root):
    return [path.removeprefix(f"{root}/") for path in listing.paths]


def test_a_folder_per_class(tmp_path):
    touch(tmp_path, "dog/b.jpg", "dog/deep/a.PNG", "cat/c.jpeg", "cat/notes.txt", "cat/.hidden.jpg")
    listing = folders.read_folder(str(tmp_path), "all")
    assert names(listing, tmp_path) == ["cat/c.jpeg", "dog/b.jpg", "dog/deep/a.PNG"]
    assert listing.labels == [0, 1, 1]
    assert listing.class_names == ("cat", "dog")


def test_flat_folder_has_no_labels(tmp_path):
    touch(tmp_path, "b.jpg", "a.webp", "README.md")
    listing = folders.read_folder(str(tmp_path), "all")
    assert names(listing, tmp_path) == ["a.webp", "b.jpg"]
    assert listing.labels is None
    assert listing.class_names is None


def test_one_folder_below_is_a_place_not_a_class(tmp_path):
    touch(tmp_path, "pictures/a.jpg", "pictures/b.jpg")
    assert folders.read_folder(str(tmp_path), "all").labels is None


@pytest.mark.parametrize("test", ["test", "val", "validation"])
def test_splits_of_its_own(tmp_path, test):
    touch(tmp_path, "train/a/1.jpg", "train/b/2.jpg", f"{test}/b/3.jpg")
    assert names(folders.read_folder(str(tmp_path), "train"), tmp_path) == [
        "train/a/1.jpg",
        "train/b/2.jpg",
    ]
    assert len(folders.read_folder(str(tmp_path), "all").paths) == 3


def test_labels_of_the_test_split_are_those_of_the_training_split(tmp_path):
    touch(tmp_path, "train/a/1.jpg", "train/b/2.jpg", "test/b/3.jpg", "test/c/4.jpg")
    listing = folders.read_folder(str(tmp_path), "test")
    assert listing.labels == [1, 2]
    assert listing.class_names == ("a", "b", "c")
    assert folders.read_folder(str(tmp_path), "train").labels == [0, 1]
    assert folders.read_folder(str(tmp_path), "all").labels == [0, 1, 1, 2]


def test_splits_without_labels(tmp_path):
    touch(tmp_path, "train/1.jpg", "train/2.jpg", "test/3.jpg")
    assert folders.read_folder(str(tmp_path), "test").labels is None
    assert names(folders.read_folder(str(tmp_path), "test"), tmp_path) == ["test/3.jpg"]


def test_train_alone_is_split(tmp_path):
    touch(tmp_path, *(f"train/{i}.jpg" for i in range(10)))
    assert len(folders.read_folder(str(tmp_path), "train").paths) == 8
    assert len(folders.read_folder(str(tmp_path), "test").paths) == 2


def test_loose_images_beside_class_folders(tmp_path):
    touch(tmp_path, "cat/a.jpg", "dog/b.jpg", "thumbnail.jpg")
    with pytest.raises(UserError, match="move the loose images away"):
        folders.read_folder(str(tmp_path), "all")


def test_a_link_upwards_is_not_followed(tmp_path):
    for label in ("a", "b"):
        (tmp_path / "set" / label).mkdir(parents=True)
        (tmp_path / "set" / label / "0.png").write_bytes(b"")
    (tmp_path / "set" / "a" / "up").symlink_to("..")
    (tmp_path / "set" / "a" / "self").symlink_to(".")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "1.png").write_bytes(b"")
    (tmp_path / "set" / "b" / "more").symlink_to(tmp_path / "elsewhere")
    found = folders.read_folder(str(tmp_path / "set"), "all")
    names = [os.path.relpath(path, tmp_path / "set") for path in found.paths]
    assert sorted(names) == ["a/0.png", "b/0.png", "b/more/1.png"]


def test_nothing_there(tmp_path):
    with pytest.raises(UserError, match="must hold images"):
        folders.read_folder(str(tmp_path), "all")
    with pytest.raises(UserError, match="no such folder"):
        folders.read_folder(str(tmp_path / "missing"), "all")


def test_list_of_paths_and_labels(tmp_path):
    touch(tmp_path, "x/a.jpg", "b.jpg")
    (tmp_path / "list.txt").write_text(f"# mine\nx/a.jpg\tdog\n\n{tmp_path}/b.jpg\tcat\n")
    listing = folders.read_list(str(tmp_path / "list.txt"), "all")
    assert names(listing, tmp_path) == ["x/a.jpg", "b.jpg"]
    assert listing.labels == [1, 0]
    assert listing.class_names == ("cat", "dog")


def test_list_without_labels(tmp_path):
    (tmp_path / "list.txt").write_text("a b.jpg\nc.jpg")
    listing = folders.read_list(str(tmp_path / "list.txt"), "all")
    assert names(listing, tmp_path) == ["a b.jpg", "c.jpg"]
    assert listing.labels is None


@pytest.mark.parametrize("text", ["a.jpg\tx\nb.jpg\n", "a.jpg\tx\ty\n"])
def test_ragged_list(tmp_path, text):
    (tmp_path / "list.txt").write_text(text)
    with pytest.raises(UserError, match="each line"):
        folders.read_list(str(tmp_path / "list.txt"), "all")


def test_a_list_is_utf_8_with_or_without_a_mark(tmp_path):
    (tmp_path / "list.txt").write_bytes("a.png\tx\nb.png\ty\n".encode("utf-16"))
    with pytest.raises(UserError, match="the list must be text in UTF-8"):
        folders.read_list(str(tmp_path / "list.txt"), "all")
    (tmp_path / "list.txt").write_bytes("a.png\tx\nb.png\ty\n".encode("utf-8-sig"))
    found = folders.read_list(str(tmp_path / "list.txt"), "all")
    assert names(found, tmp_path) == ["a.png", "b.png"]


def test_names_that_are_not_utf_8_are_refused(tmp_path):
    touch(tmp_path, "a/0.png", "b/0.png", "a/new\nline.png")
    folders.read_folder(str(tmp_path), "all")
    with open(os.path.join(os.fsencode(tmp_path), b"a", b"gr\xfcn.png"), "wb") as file:
        file.write(b"x")
    with pytest.raises(UserError, match=r"names in UTF-8: rename it\. Received: .*udcfc"):
        folders.read_folder(str(tmp_path), "all")


def test_missing_or_empty_list(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        folders.read_list(str(tmp_path / "list.txt"), "all")
    (tmp_path / "list.txt").write_text("\n# nothing\n")
    with pytest.raises(UserError, match="must hold images"):
        folders.read_list(str(tmp_path / "list.txt"), "all")


def test_split_is_a_partition_of_every_class():
    items = [f"{i:03}.jpg" for i in range(105)]
    labels = [0] * 50 + [1] * 50 + [2] * 4 + [3]
    train = folders.split_positions(items, labels, "train")
    test = folders.split_positions(items, labels, "test")
    assert sorted(train + test) == folders.split_positions(items, labels, "all") == list(range(105))
    counts = [sum(labels[i] == label for i in test) for label in range(4)]
    assert counts == [10, 10, 1, 0]


def test_split_does_not_depend_on_the_order_or_on_luck():
    items = [f"{i}.jpg" for i in range(10)]
    chosen = {items[i] for i in folders.split_positions(items, None, "test")}
    backwards = items[::-1]
    assert chosen == {backwards[i] for i in folders.split_positions(backwards, None, "test")}
    # The two smallest SHA-256 digests among the ten names: written down, so that it never changes.
    assert chosen == {"0.jpg", "5.jpg"}


@pytest.mark.parametrize("listed", [False, True])
def test_pipes_and_sockets_are_never_opened(tmp_path, listed):
    """A pipe that is opened waits for a writer for ever."""
    home = tmp_path / "pictures"
    home.mkdir()
    for i in range(10):
        pixels = np.random.default_rng(i).integers(0, 256, [40, 40, 3], np.uint8)
        Image.fromarray(pixels).save(home / f"{i}.png")
    os.mkfifo(home / "x.jpg")
    os.symlink(home / "x.jpg", home / "link.jpg")
    os.symlink(home / "gone", home / "broken.jpg")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(home / "y.jpg"))
        (home / "list.txt").write_text("\n".join(sorted(os.listdir(home))))
        spec = f"list:{home / 'list.txt'}" if listed else str(home)
        source = load_source(spec, "all")
        assert source.num_images == 10
        assert [os.path.basename(path) for path, _ in source.skipped] == ["broken.jpg"]
        assert check_source(spec).usable
        assert sum(part.images for part in pack_source(spec, tmp_path / "packed")) == 10
