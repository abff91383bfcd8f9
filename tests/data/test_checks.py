"""`check_source`: one fault at a time, and sets without any."""

import shutil

import numpy as np
import pytest
from PIL import Image

from burn_tf._checks import UserError
from burn_tf.data import check_source
from tests.data.test_coco import CATEGORIES, annotation, write_part
from tests.data.test_voc import WHOLE, write_image, write_set


@pytest.fixture
def folder(tmp_path):
    """Two classes of 12 and 3 different pictures of 40 x 40."""
    generator = np.random.default_rng(0)
    for side in ("train", "test"):
        for label in ("cat", "dog"):
            (tmp_path / side / label).mkdir(parents=True)
            for i in range(12 if side == "train" else 3):
                pixels = generator.integers(0, 256, [40, 40, 3], dtype=np.uint8)
                Image.fromarray(pixels).save(tmp_path / side / label / f"{i}.png")
    return tmp_path


def kinds(check):
    return [finding.kind for finding in check.findings]


def test_a_sound_folder(folder):
    check = check_source(str(folder))
    assert check.findings == () and check.usable
    counts = {"images": 24, "classes": 2, "objects": None}
    assert check.splits == {"train": counts, "test": {**counts, "images": 6}}
    assert check.text().splitlines() == [
        "train: 24 images, 2 classes",
        "test: 6 images, 2 classes",
        f"{folder}: usable, no finding(s)",
    ]


def spoil_file(folder):
    (folder / "train" / "cat" / "0.png").write_bytes(b"no picture")


def spoil_copy(folder):
    shutil.copy(folder / "train" / "cat" / "0.png", folder / "train" / "cat" / "copy.png")


def spoil_leak(folder):
    shutil.copy(folder / "train" / "cat" / "0.png", folder / "test" / "cat" / "again.png")


def spoil_size(folder):
    Image.new("RGB", (40, 7), (1, 2, 3)).save(folder / "train" / "dog" / "flat.png")


def spoil_mode(folder):
    picture = np.arange(1600, dtype=np.uint8).reshape(40, 40)
    Image.fromarray(picture).convert("CMYK").save(folder / "train" / "dog" / "print.jpg")


def spoil_turn(folder):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 40), (9, 9, 9)).save(folder / "train" / "dog" / "turned.jpg", exif=exif)


def spoil_class(folder):
    for i in range(3, 12):
        (folder / "train" / "dog" / f"{i}.png").unlink()


@pytest.mark.parametrize(
    ("spoil", "kind", "told"),
    [
        (spoil_file, "corrupt", "cat/0.png"),
        (spoil_copy, "duplicate", "copy.png"),
        (spoil_leak, "leak", "again.png"),
        (spoil_size, "tiny", "flat.png: 40 x 7"),
        (spoil_mode, "odd", "print.jpg: CMYK"),
        (spoil_turn, "odd", "turned.jpg: turned by EXIF"),
        (spoil_class, "few", "dog: 3"),
    ],
)
def test_faults_that_cost_nothing(folder, spoil, kind, told):
    spoil(folder)
    check = check_source(str(folder))
    assert kinds(check) == [kind] and check.usable
    assert len(check.findings[0].images) == 1 and told in check.findings[0].images[0]
    assert told in check.text()


def test_limits(folder):
    assert kinds(check_source(str(folder), few=13, tiny=41)) == ["few", "tiny"]
    assert check_source(str(folder), few=12, tiny=40).findings == ()
    with pytest.raises(UserError, match="`few`"):
        check_source(str(folder), few=-1)


def test_splits_of_different_classes_are_not_usable(tmp_path):
    sizes, other = {1: (40, 40), 2: (50, 50)}, {3: (60, 60), 4: (70, 70)}
    write_part(tmp_path, "train2017", sizes, [annotation(1, 1, [0, 0, 9, 9])])
    write_part(tmp_path, "val2017", other, [annotation(3, 1, [0, 0, 9, 9])], CATEGORIES[:2])
    check = check_source(f"coco:{tmp_path}", few=0)
    assert check.findings[0].text == "train has 3 classes, test has 2 classes"
    assert not check.usable and check.findings[0].kind == "unusable"
    assert f"coco:{tmp_path}: not usable" in check.text()


def test_nothing_there_is_a_finding(tmp_path):
    check = check_source(str(tmp_path / "none"))
    assert not check.usable and kinds(check) == ["unusable", "unusable"]
    assert "no such folder" in check.findings[0].text


def test_boxes_and_images_without_objects(tmp_path):
    write_image(tmp_path, "a", [("cat", (1, 1, 90, 90), False)], colour=1)
    write_image(tmp_path, "b", [("dog", WHOLE, False)], colour=40)
    write_image(tmp_path, "c", colour=90)
    write_image(tmp_path, "d", [("cat", WHOLE, False)], colour=200)
    write_set(tmp_path, "trainval", ["a", "b", "c"])
    write_set(tmp_path, "test", ["d"])
    check = check_source(f"voc:{tmp_path}", few=1, tiny=8)
    assert [f.text.split(", first")[0] for f in check.findings if f.kind == "boxes"] == [
        "train: boxes: 1 outside their image (cut)",
        "1 of 3 images in train have no object",
    ]
    assert check.splits["train"] == {"images": 3, "classes": 2, "objects": 2}
    absent = next(f for f in check.findings if f.kind == "few")
    assert len(absent.images) == 18 and "sheep" in absent.images
    assert check.usable
