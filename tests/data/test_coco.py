"""COCO's instances, in JSON as COCO's own archives hold it."""

import json

import numpy as np
import pytest
from PIL import Image

from burn_tf._checks import UserError
from burn_tf.data import load_source

CATEGORIES = [
    {"supercategory": "vehicle", "id": 3, "name": "car"},
    {"supercategory": "person", "id": 1, "name": "person"},
    {"supercategory": "indoor", "id": 90, "name": "toothbrush"},
]


def annotation(image, category, box, crowd=0):
    x, y, w, h = box
    outline = {"counts": [0, 4], "size": [2, 2]} if crowd else [[x, y, x + w, y, x + w, y + h]]
    return {
        "segmentation": outline,
        "area": w * h / 2,
        "iscrowd": crowd,
        "image_id": image,
        "bbox": box,
        "category_id": category,
        "id": 1000 * image + category,
    }


def write_part(folder, name, sizes, annotations, categories=CATEGORIES):
    (folder / name).mkdir(parents=True)
    (folder / "annotations").mkdir(exist_ok=True)
    images = []
    for number, (width, height) in sizes.items():
        file = f"{number:012d}.jpg"
        Image.new("RGB", (width, height), (number, 0, 0)).save(folder / name / file)
        images.append({"id": number, "file_name": file, "width": width, "height": height})
    content = {
        "info": {"year": 2017},
        "licenses": [],
        "images": images,
        "annotations": annotations,
        "categories": categories,
    }
    (folder / "annotations" / f"instances_{name}.json").write_text(json.dumps(content))


@pytest.fixture
def folder(tmp_path):
    annotations = [
        annotation(7, 3, [1.5, 2, 10, 8]),
        annotation(7, 1, [0, 0, 40, 30], crowd=1),
        annotation(5, 90, [30, 20, 50, 50]),
        annotation(5, 90, [4, 4, 0, 6]),
    ]
    write_part(tmp_path, "train2017", {7: (40, 30), 5: (50, 40), 9: (20, 20)}, annotations)
    write_part(tmp_path, "val2017", {3: (40, 30), 4: (40, 30)}, [annotation(4, 1, [1, 1, 9, 9])])
    return tmp_path


def test_boxes_classes_and_outlines(folder):
    source = load_source(f"coco:{folder}")
    assert source.class_names == ("person", "car", "toothbrush")
    assert [path[-6:] for path in source.paths] == ["05.jpg", "07.jpg", "09.jpg"]
    first, second, third = source.objects
    # The box of no width is gone, the one that leaves the image is cut.
    np.testing.assert_array_equal(first.boxes, [[30, 20, 50, 40]])
    np.testing.assert_array_equal(second.boxes, [[1.5, 2, 11.5, 10], [0, 0, 40, 30]])
    np.testing.assert_array_equal(second.classes, [1, 0])
    np.testing.assert_array_equal(second.crowd, [False, True])
    assert second.segmentations[1]["size"] == [2, 2] and len(first.segmentations) == 1
    assert len(third) == 0
    np.testing.assert_array_equal(source.targets, [[0, 0, 1], [1, 1, 0], [0, 0, 0]])
    assert "1 outside their image (cut), 1 empty (left out)" in source.repairs


def test_val_is_the_test_split(folder):
    source = load_source(f"coco2017:{folder}", split="test")
    assert [len(found) for found in source.objects] == [0, 1]
    both = load_source(f"coco:{folder}", split="all")
    assert both.num_images == 5 and both.targets.shape == (5, 3)


def test_two_years_have_to_be_told_apart(folder):
    write_part(folder, "train2014", {1: (9, 9), 2: (9, 9)}, [])
    with pytest.raises(UserError, match=r"one annotations/instances_train\*.json: say which"):
        load_source(f"coco:{folder}")
    assert load_source(f"coco2014:{folder}").num_images == 2
    with pytest.raises(UserError, match=r"instances_val2014.json\. Received.* with 0"):
        load_source(f"coco2014:{folder}", split="test")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.pop("categories"), "no 'categories'"),
        (lambda c: c["annotations"][0].pop("bbox"), "no 'bbox'"),
        (lambda c: c["annotations"][0].update(category_id=2), r"JSON as COCO.*no 2"),
        (lambda c: c["annotations"][0].update(image_id=77), "image_id 77"),
    ],
)
def test_broken_annotations(folder, change, message):
    path = folder / "annotations" / "instances_train2017.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match=message):
        load_source(f"coco:{folder}")


def test_no_json_and_other_categories(folder):
    path = folder / "annotations" / "instances_val2017.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "categories": CATEGORIES[:2]}))
    with pytest.raises(UserError, match=r"same categories\. Received: 3 and 2"):
        load_source(f"coco:{folder}", split="all")
    path.write_text("{")
    with pytest.raises(UserError, match=r"must be JSON as COCO's .*instances_val2017.json"):
        load_source(f"coco:{folder}", split="test")
