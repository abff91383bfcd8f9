"""Pascal VOC's layout, in files as VOC's own archives hold them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from burn_tf._checks import UserError
from burn_tf.data import load_source
from burn_tf.data.voc import CLASSES

OBJECT = """
  <object>
    <name>{name}</name>
    <pose>Left</pose>
    <truncated>0</truncated>
    <difficult>{difficult}</difficult>
    <bndbox><xmin>{box[0]}</xmin><ymin>{box[1]}</ymin><xmax>{box[2]}</xmax><ymax>{box[3]}</ymax></bndbox>
    <part><name>head</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax></bndbox></part>
  </object>"""
WHOLE = (1, 1, 40, 30)


def write_image(year: Path, name: str, objects=(), size=(40, 30), stated=None, colour=0):
    """A picture of 40 x 30 and its annotation; objects are (name, box, difficult)."""
    for folder in ("JPEGImages", "Annotations"):
        (year / folder).mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (colour, 0, 0)).save(year / "JPEGImages" / f"{name}.jpg")
    width, height = stated or size
    rows = "".join(OBJECT.format(name=n, box=box, difficult=int(d)) for n, box, d in objects)
    text = (
        f"<annotation>\n  <folder>{year.name}</folder>\n  <filename>{name}.jpg</filename>\n"
        f"  <size><width>{width}</width><height>{height}</height><depth>3</depth></size>{rows}\n"
        "</annotation>\n"
    )
    (year / "Annotations" / f"{name}.xml").write_text(text)


def write_set(year: Path, name: str, identifiers):
    folder = year / "ImageSets" / "Main"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.txt").write_text("".join(f"{i}\n" for i in identifiers))


@pytest.fixture
def devkit(tmp_path):
    """VOC2007 with a test split of its own, VOC2012 without one."""
    first, second = tmp_path / "VOC2007", tmp_path / "VOC2012"
    write_image(first, "000005", [("chair", (3, 4, 10, 20), False), ("cat", WHOLE, True)])
    write_image(first, "000007", [("car", WHOLE, False), ("cat", WHOLE, False)])
    write_image(first, "000001", [("dog", WHOLE, False), ("dog", (2, 2, 9, 9), True)])
    write_image(first, "000002")
    write_set(first, "trainval", ["000005", "000007"])
    write_set(first, "test", ["000001", "000002"])
    for number in range(3):
        write_image(second, f"2008_00000{number}", [("sofa", WHOLE, False)], size=(50, 40))
    write_set(second, "train", ["2008_000000"])
    write_set(second, "val", ["2008_000001"])
    write_set(second, "trainval", ["2008_000000", "2008_000001"])
    return tmp_path


def test_one_year(devkit):
    source = load_source(f"voc:{devkit}/VOC2007")
    assert source.class_names == CLASSES and source.labels is None
    assert [Path(p).name for p in source.paths] == [] and source.array.shape == (2, 30, 40, 3)
    wanted = np.zeros((2, 20), np.int8)
    wanted[0, CLASSES.index("chair")] = 1
    wanted[0, CLASSES.index("cat")] = -1
    wanted[1, [CLASSES.index("car"), CLASSES.index("cat")]] = 1
    np.testing.assert_array_equal(source.targets, wanted)
    objects = source.objects[0]
    # Pixels are counted from 1: 3..10 are eight columns. Parts of an object are no objects.
    np.testing.assert_array_equal(objects.boxes, [[2, 3, 10, 20], [0, 0, 40, 30]])
    np.testing.assert_array_equal(objects.difficult, [False, True])
    assert source.repairs == ""


def test_test_split_and_images_without_objects(devkit):
    source = load_source(f"voc2007:{devkit}", split="test")
    assert source.num_images == 2
    assert [len(found) for found in source.objects] == [2, 0]
    assert source.targets.sum() == 1 and source.targets[0, CLASSES.index("dog")] == 1


def test_several_years_train_together_and_test_on_the_one_that_can(devkit):
    train, test = (load_source(f"voc:{devkit}", split=split) for split in ("train", "test"))
    assert [Path(p).stem for p in train.paths] == ["000005", "000007", "2008_000000", "2008_000001"]
    assert test.num_images == 2 and len(load_source(f"voc:{devkit}", split="all").paths) == 6
    assert train.array is None and train.targets.shape == (4, 20)


def test_a_year_without_a_test_split_is_scored_on_val(devkit):
    spec = f"voc2012:{devkit}"
    # The public archive of 2012's test images has no annotations.
    write_set(devkit / "VOC2012", "test", ["2008_000009"])
    assert load_source(spec, split="train").num_images == 1
    assert load_source(spec, split="test").num_images == 1
    assert load_source(spec, split="all").num_images == 2


def test_other_classes_are_in_alphabetical_order_of_both_splits(tmp_path):
    write_image(tmp_path, "a", [("zebra", WHOLE, False)], stated=(0, 0))
    write_image(tmp_path, "b", [("ant", (30, 20, 99, 99), False)], stated=(0, 0))
    write_set(tmp_path, "trainval", ["a"])
    write_set(tmp_path, "test", ["b"])
    train, test = (load_source(f"voc:{tmp_path}", split=split) for split in ("train", "test"))
    assert train.class_names == test.class_names == ("ant", "zebra")
    np.testing.assert_array_equal(np.concatenate([train.targets, test.targets]), [[0, 1], [1, 0]])
    # Some tools write 0 for the size: then the file's own is taken.
    np.testing.assert_array_equal(test.objects[0].boxes, [[29, 19, 40, 30]])
    assert "1 outside their image (cut)" in test.repairs


def test_strict_refuses_boxes_outside(devkit):
    write_image(devkit / "VOC2007", "000007", [("car", (1, 1, 90, 30), False)])
    with pytest.raises(UserError, match=r"1 outside their image .*000007.jpg"):
        load_source(f"voc:{devkit}/VOC2007", strict=True)


def test_a_damaged_image_takes_its_boxes_with_it(devkit):
    (devkit / "VOC2007" / "JPEGImages" / "000005.jpg").write_bytes(b"")
    (devkit / "VOC2007" / "JPEGImages" / "2008.jpg").write_bytes(b"")
    source = load_source(f"voc:{devkit}/VOC2007")
    assert source.num_images == len(source.objects) == len(source.targets) == 1
    assert source.targets[0, CLASSES.index("car")] == 1


def test_fingerprint_follows_the_boxes(devkit):
    before = load_source(f"voc:{devkit}").fingerprint
    write_image(devkit / "VOC2007", "000007", [("car", (2, 1, 40, 30), False)])
    assert load_source(f"voc:{devkit}").fingerprint != before


def test_a_part_keeps_its_objects(devkit):
    source = load_source(f"voc:{devkit}").subset(np.array([1, 0]))
    assert len(source.objects[1]) == 2 and source.targets[0, CLASSES.index("car")] == 1
    listed = devkit / "some.txt"
    listed.write_text("VOC2007/JPEGImages/000007.jpg\n2008_000001.jpg\n")
    part = load_source(f"images:{listed}:voc:{devkit}")
    assert part.num_images == 2 and len(part.objects[0]) == 2 and len(part.objects[1]) == 1


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda y: (y / "Annotations" / "000005.xml").unlink(),
            r"needs its annotation.*000005.xml",
        ),
        (lambda y: (y / "Annotations" / "000005.xml").write_text("<a>"), r"must be XML .*000005"),
        (
            lambda y: (y / "Annotations" / "000005.xml").write_text(
                "<annotation><object><name>cat</name></object></annotation>"
            ),
            r"without a name or a box.*000005",
        ),
        (lambda y: write_set(y, "trainval", []) or write_set(y, "test", []), "must list images"),
    ],
)
def test_broken_sets(devkit, spoil, message):
    spoil(devkit / "VOC2007")
    with pytest.raises(UserError, match=message):
        load_source(f"voc:{devkit}/VOC2007")


@pytest.mark.parametrize(("spec", "year"), [("voc:{}/none", ""), ("voc2010:{}", "VOC2010")])
def test_another_layout(devkit, spec, year):
    with pytest.raises(UserError, match=f"must be voc:FOLDER.*{year}.* Received"):
        load_source(spec.format(devkit))
