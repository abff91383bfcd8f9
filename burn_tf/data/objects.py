"""Objects in images: boxes, their classes, and what they say about a whole image."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from absl import logging

from burn_tf._checks import UserError

POSITIVE, NEGATIVE, DIFFICULT = 1, 0, -1


@dataclasses.dataclass(frozen=True, eq=False)
class Objects:
    """What is annotated in one image; M may be 0.

    Args:
        boxes: float32 [M, 4], (x_min, y_min, x_max, y_max) in pixels; the image spans 0..width and
            0..height, so that x_max - x_min is a width.
        classes: int64 [M].
        difficult: bool [M], objects that an evaluation neither asks for nor counts (VOC).
        crowd: bool [M], a box around many objects of the class (COCO).
        segmentations: M outlines as COCO's files hold them (polygons or run lengths), or none.

    Example:
        >>> import numpy as np
        >>> from burn_tf.data import Objects
        >>> Objects.of([[0, 0, 4, 2]], [1]).difficult
        array([False])
    """

    boxes: np.ndarray
    classes: np.ndarray
    difficult: np.ndarray
    crowd: np.ndarray
    segmentations: tuple[Any, ...] = ()

    @classmethod
    def of(
        cls,
        boxes: Any,
        classes: Any,
        difficult: Any = None,
        crowd: Any = None,
        segmentations: Sequence[Any] = (),
    ) -> Objects:
        """From any sequences; `difficult` and `crowd` default to no object."""
        number = len(classes)
        return cls(
            np.asarray(boxes, np.float32).reshape(number, 4),
            np.asarray(classes, np.int64).reshape(number),
            np.zeros(number, bool) if difficult is None else np.asarray(difficult, bool),
            np.zeros(number, bool) if crowd is None else np.asarray(crowd, bool),
            tuple(segmentations),
        )

    def __len__(self) -> int:
        return len(self.classes)

    def take(self, indices: np.ndarray) -> Objects:
        """The objects of these positions."""
        outlines = tuple(self.segmentations[i] for i in indices) if self.segmentations else ()
        return Objects(
            self.boxes[indices],
            self.classes[indices],
            self.difficult[indices],
            self.crowd[indices],
            outlines,
        )

    def tobytes(self) -> bytes:
        """For fingerprints."""
        parts = (self.boxes, self.classes, self.difficult, self.crowd)
        return b"".join(np.ascontiguousarray(part).tobytes() for part in parts)


@dataclasses.dataclass
class BoxRepairs:
    """Counts boxes that had to be changed, to say so in one line."""

    clipped: int = 0
    dropped: int = 0
    first: str = ""

    def inside(self, objects: Objects, height: int, width: int, where: str) -> Objects:
        """The objects with their boxes cut to the image; those without any area are left out."""
        limits = np.array([width, height, width, height], np.float32)
        boxes = np.clip(objects.boxes, 0.0, limits)
        area = (boxes[:, 2:] > boxes[:, :2]).all(axis=1) & np.isfinite(objects.boxes).all(axis=1)
        # A border of a pixel is a habit of some tools, not a mistake.
        outside = (np.abs(boxes - objects.boxes) > 1.0).any(axis=1) & area
        self.clipped += int(outside.sum())
        self.dropped += int((~area).sum())
        if not self.first and (outside.any() or not area.all()):
            self.first = where
        return dataclasses.replace(objects, boxes=boxes).take(np.flatnonzero(area))

    def text(self) -> str:
        """One line, empty where nothing was changed."""
        counts = {"outside their image (cut)": self.clipped, "empty (left out)": self.dropped}
        shown = [f"{number} {what}" for what, number in counts.items() if number]
        return f"boxes: {', '.join(shown)}, first in {self.first}" if shown else ""

    def report(self, spec: str, strict: bool) -> str:
        """Warn of them in one line and return it, or refuse them.

        Raises:
            UserError: there are some and `strict` is set.
        """
        text = self.text()
        if text and strict:
            raise UserError(
                f"{text} in {spec!r}; repair the annotations, or leave out --strict. "
                "Received: strict=True"
            )
        if text:
            logging.warning("%s: %s", spec, text)
        return text


def image_targets(objects: Sequence[Objects], num_classes: int) -> np.ndarray:
    """What each image holds, as VOC's classification task counts it.

    Args:
        objects: of N images.
        num_classes: C.

    Returns:
        int8 [N, C]: 1 where an object of the class is there, -1 where all of them are difficult
        (neither a hit nor a miss), 0 where there is none.
    """
    targets = np.zeros((len(objects), num_classes), np.int8)
    for row, found in zip(targets, objects, strict=True):
        row[found.classes[found.difficult]] = DIFFICULT
        row[found.classes[~found.difficult]] = POSITIVE
    return targets
