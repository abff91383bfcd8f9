"""Images whose objects are known: bright rectangles of three colours on grey noise."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from burn_tf.data import Objects, Source

COLOURS = np.array([[250, 40, 40], [40, 250, 40], [40, 40, 250]])
NAMES = ("red", "green", "blue")


def made_boxes(
    number: int = 8, side: int = 64, seed: int = 0, empty: tuple[int, ...] = ()
) -> Source:
    """One or two rectangles an image, in different halves; none in the images of `empty`."""
    rng = np.random.default_rng(seed)
    images = rng.integers(90, 130, (number, side, side, 3)).astype(np.uint8)
    objects = []
    for index, image in enumerate(images):
        boxes, classes = [], []
        for half in range(0 if index in empty else 1 + index % 2):
            width, height = rng.integers(side // 4, side // 2 - 2, 2)
            left = rng.integers(0, side - width)
            top = rng.integers(0, side // 2 - height) + half * side // 2
            classes.append(int(rng.integers(3)))
            image[top : top + height, left : left + width] = COLOURS[classes[-1]]
            boxes.append([left, top, left + width, top + height])
        objects.append(Objects.of(np.array(boxes).reshape(-1, 4), classes))
    return Source("made", "train", None, NAMES, "0", array=images, objects=tuple(objects))


def write_voc(folder: Path, splits: Mapping[str, Source]) -> None:
    """A folder as VOC's archives unpack: splits "trainval" and "test" of one year."""
    for name in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (folder / name).mkdir(parents=True)
    for split, source in splits.items():
        stems = [f"{split}{number}" for number in range(source.num_images)]
        for index, (stem, objects) in enumerate(zip(stems, source.objects, strict=True)):
            image = source.image(index)
            Image.fromarray(image).save(folder / "JPEGImages" / f"{stem}.png")
            rows = "".join(
                f"<object><name>{NAMES[number]}</name><bndbox><xmin>{left + 1:g}</xmin>"
                f"<ymin>{top + 1:g}</ymin><xmax>{right:g}</xmax><ymax>{bottom:g}</ymax></bndbox>"
                "</object>"
                for number, (left, top, right, bottom) in zip(
                    objects.classes, objects.boxes, strict=True
                )
            )
            sides = f"<width>{image.shape[1]}</width><height>{image.shape[0]}</height>"
            text = f"<annotation><size>{sides}</size>{rows}</annotation>"
            (folder / "Annotations" / f"{stem}.xml").write_text(text)
        listed = "".join(f"{stem}\n" for stem in stems)
        (folder / "ImageSets" / "Main" / f"{split}.txt").write_text(listed)
