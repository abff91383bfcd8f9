"""CUB-200-2011, in text files as its archive holds them."""

import numpy as np
import pytest
from PIL import Image

from burn_tf._checks import UserError
from burn_tf.data import load_source

NAMES = ("001.Black_footed_Albatross", "002.Laysan_Albatross", "003.Sooty_Albatross")


@pytest.fixture
def folder(tmp_path):
    """Six images of three classes; every second one is to train on."""
    root = tmp_path / "CUB_200_2011"
    lines: dict[str, list[str]] = {"images": [], "image_class_labels": [], "train_test_split": []}
    for number in range(1, 7):
        label = (number - 1) // 2
        place = root / "images" / NAMES[label]
        place.mkdir(parents=True, exist_ok=True)
        name = f"{NAMES[label][4:]}_{number:04d}_796111.jpg"
        Image.new("RGB", (10, 8), (40 * number, 0, 0)).save(place / name)
        lines["images"].append(f"{number} {NAMES[label]}/{name}")
        lines["image_class_labels"].append(f"{number} {label + 1}")
        lines["train_test_split"].append(f"{number} {number % 2}")
    lines["classes"] = [f"{i + 1} {name}" for i, name in enumerate(NAMES)]
    for name, rows in lines.items():
        (root / f"{name}.txt").write_text("\n".join(rows) + "\n")
    return tmp_path


def reds(source):
    return [round(int(image[0, 0, 0]) / 40) for image in source.array]


@pytest.mark.parametrize("inner", ["", "/CUB_200_2011"])
def test_official_division(folder, inner):
    train, test = (load_source(f"cub:{folder}{inner}", split=side) for side in ("train", "test"))
    assert reds(train) == [1, 3, 5] and reds(test) == [2, 4, 6]
    np.testing.assert_array_equal(train.labels, [0, 1, 2])
    assert train.class_names == test.class_names == NAMES
    assert load_source(f"cub:{folder}{inner}", split="all").num_images == 6


def test_named_classes_of_it(folder):
    (folder / "two.txt").write_text(
        "# three is left out\n003.Sooty_Albatross\n001.Black_footed_Albatross\n"
    )
    source = load_source(f"classes:{folder}/two.txt:cub:{folder}", split="test")
    np.testing.assert_array_equal(source.labels, [0, 1])
    assert reds(source) == [2, 6] and source.class_names == (NAMES[0], NAMES[2])


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("classes", None, r"must be cub:FOLDER.*classes.txt"),
        ("images", "1\n", r"each line of images.txt"),
        ("train_test_split", "1 0\n", r"images.txt and train_test_split.txt .* Received: 6 and 1"),
        ("classes", "1 a\n2 b\n", r"every class must be in classes.txt"),
    ],
)
def test_broken_lists(folder, name, text, message):
    path = folder / "CUB_200_2011" / f"{name}.txt"
    path.write_text(text) if text else path.unlink()
    with pytest.raises(UserError, match=message):
        load_source(f"cub:{folder}")
