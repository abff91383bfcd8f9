"""What is to be packed: the order of `load_source`, and nothing read before its turn."""

import numpy as np
from PIL import Image

from burn_tf.data import load_source
from burn_tf.data.packing_contents import contents, png_bytes


def test_files_are_read_when_it_is_their_turn(tmp_path):
    for label in ("cat", "dog"):
        (tmp_path / label).mkdir()
        for i in range(5):
            Image.new("RGB", (20 + i, 30), (9 * i, 0, 0)).save(tmp_path / label / f"{i}.png")
    for split in ("train", "test", "all"):
        source, found = load_source(str(tmp_path), split), contents(str(tmp_path), split, False)
        items = list(found.items)
        assert found.total == len(items) == source.num_images
        assert [item.label for item in items] == source.labels.tolist()
        assert found.class_names == ("cat", "dog")
    assert items[6].name == "dog/1.png"
    (tmp_path / "dog" / "1.png").write_bytes(b"new")
    assert items[6].read() == b"new"


def test_what_is_in_memory_becomes_png():
    found, source = contents("synthetic:12", "train", False), load_source("synthetic:12")
    items = list(found.items)
    assert items[3].read() == png_bytes(source.array[3]) and items[3].name == "number 3"
    assert [item.label for item in items] == source.labels.tolist()
    pixels = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    assert png_bytes(pixels)[:8] == b"\x89PNG\r\n\x1a\n"
