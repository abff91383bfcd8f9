"""Parts that a file names: ImageNet-100's classes, the published 1 % of ImageNet's labels."""

import numpy as np
import pytest
from absl import logging
from PIL import Image

from burn_tf._checks import UserError
from burn_tf.data import load_source, subsets

SYNSETS = ("n01440764", "n01443537", "n01484850", "n01491361")


@pytest.fixture
def imagenet(tmp_path):
    """Four classes of three train and two val images, named as ImageNet's are."""
    for side, number in (("train", 3), ("val", 2)):
        for synset in SYNSETS:
            place = tmp_path / side / synset
            place.mkdir(parents=True)
            for i in range(number):
                image = Image.new("RGB", (9, 9), (10 * i, 0, 0))
                image.save(
                    place / f"{synset}_{i}.JPEG" if side == "train" else place / f"v{i}.JPEG"
                )
    return tmp_path


@pytest.fixture
def warnings(monkeypatch):
    found = []
    monkeypatch.setattr(logging, "warning", lambda text, *args: found.append(text % args))
    return found


def listed(folder, *lines):
    path = folder / "list.txt"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize("split", ["train", "test"])
def test_classes_are_numbered_anew_and_alike_in_both_splits(imagenet, split):
    # The list in common use has a synset and then its name in words.
    path = listed(imagenet, "n01491361 tiger shark", "", "n01443537 goldfish")
    source = load_source(f"classes:{path}:{imagenet}", split=split)
    assert source.class_names == ("n01443537", "n01491361")
    each = 3 if split == "train" else 2
    np.testing.assert_array_equal(source.labels, [0] * each + [1] * each)


def test_other_classes_are_never_opened(imagenet):
    (imagenet / "train" / SYNSETS[0] / "n01440764_0.JPEG").write_bytes(b"damaged")
    path = listed(imagenet, *SYNSETS[1:])
    assert load_source(f"classes:{path}:{imagenet}", strict=True).num_images == 9


def test_named_images_of_the_train_split(imagenet, warnings):
    path = listed(imagenet, "n01443537_2.JPEG", "n01440764_0.JPEG", "n01484850/n01484850_1.JPEG")
    spec = f"images:{path}:{imagenet}"
    source = load_source(spec)
    np.testing.assert_array_equal(source.labels, [0, 1, 2])
    np.testing.assert_array_equal(source.array[:, 0, 0, 0], [0, 20, 10])
    assert source.class_names == SYNSETS and source.name == spec
    assert load_source(spec, split="test").num_images == 8
    assert source.fingerprint != load_source(str(imagenet)).fingerprint
    assert warnings == []


def test_images_of_classes(imagenet, warnings):
    images = listed(imagenet, "n01443537_2.JPEG", "n01440764_0.JPEG", "n01491361_1.JPEG")
    classes = imagenet / "classes.txt"
    classes.write_text("n01443537\nn01491361\n")
    source = load_source(f"images:{images}:classes:{classes}:{imagenet}")
    np.testing.assert_array_equal(source.labels, [0, 1])
    assert len(warnings) == 1 and "1 of 3 images" in warnings[0]
    assert "n01440764_0.JPEG" in warnings[0]


def test_classes_of_what_has_no_files(tmp_path):
    path = listed(tmp_path, "7", "2")
    source = load_source(f"classes:{path}:digits", split="test")
    whole = load_source("digits", split="test")
    keep = np.flatnonzero(np.isin(whole.labels, [2, 7]))
    np.testing.assert_array_equal(source.array, whole.array[keep])
    np.testing.assert_array_equal(source.labels, (whole.labels[keep] == 7).astype(int))
    assert source.class_names == ("2", "7") and source.name == f"classes:{path}:digits"


@pytest.mark.parametrize(
    ("spec", "lines", "message"),
    [
        ("classes:{list}:{data}", ["n01440764", "n01443573"], "Did you mean 'n01443537'"),
        ("classes:{list}:{data}", ["n01440764"], "at least two classes. Received: 1"),
        ("classes:{list}:{data}/train/n01440764", ["a"], "one class per image"),
        ("classes:{list}:digits", ["1", "x"], "Received: 'x'"),
        ("images:{list}:{data}", ["a.jpg"], "Received: none of"),
        ("images:{list}:digits", ["1"], "needs image files"),
        ("images:{list}:{data}", ["# nothing"], "is empty"),
        ("images:{data}/no.txt:{data}", [""], "no such file"),
        ("classes:{list}", ["1"], "must be classes:FILE:DATA"),
        ("classes:{list}:", ["1"], "must be classes:FILE:DATA"),
    ],
)
def test_mistakes(imagenet, spec, lines, message):
    path = listed(imagenet, *lines)
    with pytest.raises(UserError, match=message):
        load_source(spec.format(list=path, data=imagenet))


def test_the_innermost_part_is_taken_first():
    parts, data = subsets.split_parts("images:a:classes:b:tfds:c/d:1.0")
    assert [(part.kind, part.file) for part in parts] == [("classes", "b"), ("images", "a")]
    assert data == "tfds:c/d:1.0"


def test_a_file_that_is_no_text_is_refused(tmp_path):
    path = tmp_path / "classes.txt"
    path.write_bytes("2\n7\n".encode("utf-16"))
    with pytest.raises(UserError, match="the file of classes must be text in UTF-8"):
        load_source(f"classes:{path}:digits")
    path.write_bytes("2\n7\n".encode("utf-8-sig"))
    assert load_source(f"classes:{path}:digits").class_names == ("2", "7")
