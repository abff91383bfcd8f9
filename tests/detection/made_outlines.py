"""Images whose objects have outlines: right triangles, so that a mask is not its box."""

from __future__ import annotations

import numpy as np

from burn_tf.data import Objects, Source

COLOURS = np.array([[250, 40, 40], [40, 40, 250]])
NAMES = ("red", "blue")


def made_outlines(
    number: int = 6, side: int = 96, seed: int = 0, empty: tuple[int, ...] = ()
) -> Source:
    """At most one triangle of a colour an image, in different halves; none in those of `empty`."""
    rng = np.random.default_rng(seed)
    images = rng.integers(90, 130, (number, side, side, 3)).astype(np.uint8)
    rows, columns = np.mgrid[:side, :side] + 0.5
    objects = []
    for index, image in enumerate(images):
        boxes, outlines = [], []
        classes = [] if index in empty else [index % 2, 1 - index % 2][: 1 + index // 2 % 2]
        for half, colour in enumerate(classes):
            width, height = rng.integers(side // 3, side * 11 // 24, 2)
            left = rng.integers(0, side - width)
            top = rng.integers(0, side // 2 - height) + half * side // 2
            slope = (columns - left) / width + (rows - top) / height
            image[(slope <= 1) & (columns > left) & (rows > top)] = COLOURS[colour]
            boxes.append([left, top, left + width, top + height])
            corners = [left, top, left + width, top, left, top + height]
            outlines.append([[float(value) for value in corners]])
        objects.append(Objects.of(boxes, classes, segmentations=outlines))
    return Source("made", "train", None, NAMES, "0", array=images, objects=tuple(objects))
