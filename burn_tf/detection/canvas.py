"""Images of any size with their objects, on one square canvas, as batches for training."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import tensorflow as tf

from burn_tf.data import Objects, Source
from burn_tf.data.randomness import shuffled, uniform
from burn_tf.detection.letterbox import letterbox
from burn_tf.detection.masks import crop_mask, outline_mask

# Side of the masks that training sees, cut out of an object's box; tf-models-official's.
MASK_SIDE = 112
# Range of the random scale, tf-models-official's for Mask R-CNN on COCO.
_SCALES = (0.8, 1.25)
_SMALLEST_SIDE = 1.0


@dataclasses.dataclass(frozen=True)
class Placement:
    """Where an image lies on its canvas: flipped, then scaled, then moved.

    Args:
        size: height and width of the image in pixels.
        side: of the canvas in pixels; what reaches out of it is cut off.
        scale: canvas pixels per image pixel.
        corner: row and column of the canvas where the image begins; none is above 0.
        flipped: left and right are exchanged.
    """

    size: tuple[int, int]
    side: int
    scale: float
    corner: tuple[float, float] = (0.0, 0.0)
    flipped: bool = False

    @property
    def shown(self) -> np.ndarray:
        """float32 [2], rows and columns of the canvas that the image covers."""
        ends = np.multiply(self.size, self.scale) + self.corner
        return np.minimum(ends, self.side).astype(np.float32)

    def to_canvas(self, boxes: np.ndarray) -> np.ndarray:
        """Boxes [M, 4] (x_min, y_min, x_max, y_max) of the image -> (y, x, y, x) on the canvas.

        What is outside the canvas is cut off; a box may have no area left.
        """
        left, top, right, bottom = np.asarray(boxes, np.float32).reshape(-1, 4).T
        if self.flipped:
            left, right = self.size[1] - right, self.size[1] - left
        edges = np.stack([top, left, bottom, right], axis=1)
        moved = edges * self.scale + np.tile(self.corner, 2)
        return np.clip(moved, 0, np.tile(self.shown, 2)).astype(np.float32)

    def to_image(self, boxes: np.ndarray) -> np.ndarray:
        """The inverse of `to_canvas` for boxes on the canvas; cut to the image."""
        edges = np.asarray(boxes, np.float32).reshape(-1, 4)
        moved = (edges - np.tile(self.corner, 2)) / self.scale
        top, left, bottom, right = np.clip(moved, 0, np.tile(self.size, 2)).T
        if self.flipped:
            left, right = self.size[1] - right, self.size[1] - left
        return np.stack([left, top, right, bottom], axis=1).astype(np.float32)

    def draw(self, pixels: np.ndarray, antialias: bool = True) -> np.ndarray:
        """float32 [side, side, 3] of uint8 pixels, normalised; 0, the mean colour, elsewhere."""
        picture = pixels[:, ::-1] if self.flipped else pixels
        scale, corner = (tf.constant(value, tf.float32) for value in (self.scale, self.corner))
        drawn = letterbox(tf.constant(picture), self.side, scale, corner, antialias=antialias)
        return np.asarray(drawn)


@dataclasses.dataclass(frozen=True, eq=False)
class CanvasBatch:
    """What a training step takes.

    Args:
        images: float32 [B, S, S, 3], normalised; 0 where no image is.
        shown: float32 [B, 2], rows and columns that the image covers.
        boxes: float32 [B, K, 4], (y, x, y, x) on the canvas; -1 where there is no object.
        classes: int32 [B, K], from 1; -1 where there is no object.
        masks: float32 [B, K, 112, 112], inside the box; [B, K, 0, 0] without masks.
    """

    images: np.ndarray
    shown: np.ndarray
    boxes: np.ndarray
    classes: np.ndarray
    masks: np.ndarray


def place(
    size: tuple[int, int], image_size: int, side: int, draws: np.ndarray | None = None
) -> Placement:
    """Where an image goes.

    Args:
        size: height and width in pixels.
        image_size: pixels that the longer side becomes.
        side: of the canvas in pixels, at least `image_size`.
        draws: four numbers in [0, 1), for flip, scale (times 0.8 to 1.25) and the part that is seen
            of what is larger than the canvas then; None: upright and whole.
    """
    scale = image_size / max(size)
    if draws is None:
        return Placement(size, side, scale)
    flip, share, down, across = (float(value) for value in draws)
    scale *= _SCALES[0] + share * (_SCALES[1] - _SCALES[0])
    spare = np.maximum(np.multiply(size, scale) - side, 0.0)
    corner = (-float(down * spare[0]), -float(across * spare[1]))
    return Placement(size, side, scale, corner, flip < 0.5)


def canvas_batches(
    source: Source,
    epoch: int,
    *,
    image_size: int,
    side: int,
    batch_size: int,
    max_objects: int,
    masks: bool,
    seed: int,
    antialias: bool = True,
) -> Iterator[CanvasBatch]:
    """An epoch: every image once, flipped, scaled and cut at random; the last batch may be small.

    Order and changes are functions of (seed, epoch, image). Crowds and difficult objects are left
    out, and what is cut down to nothing; images without an object stay in.

    Args:
        source: with objects, and outlines where `masks`.
        epoch: counted from 0.
        image_size: pixels that the longer side becomes, before the random scale.
        side: of the canvas, at least `image_size`.
        batch_size: images.
        max_objects: K; further objects of an image are left out.
        masks: cut out masks.
        seed: any integer.
        antialias: Pillow's filter where images are made smaller.
    """
    numbers = tf.range(source.num_images, dtype=tf.int64)
    order = shuffled(seed, tf.constant(epoch, tf.int64), numbers, source.num_images).numpy()
    draws = uniform(seed, epoch, numbers, 0, 4).numpy()

    def entry(index: int) -> CanvasBatch:
        pixels = source.image(index)
        where = place((pixels.shape[0], pixels.shape[1]), image_size, side, draws[index])
        boxes, classes, cut = _targets(source.objects[index], where, max_objects, masks)
        return CanvasBatch(where.draw(pixels, antialias), where.shown, boxes, classes, cut)

    starts = range(0, source.num_images, batch_size)
    with ThreadPoolExecutor() as pool:
        # The next batch is made while the network is busy with this one.
        made = [pool.submit(entry, int(i)) for i in order[:batch_size]]
        for start in starts:
            ahead = order[start + batch_size : start + 2 * batch_size]
            waiting = [pool.submit(entry, int(i)) for i in ahead]
            yield _stacked([one.result() for one in made])
            made = waiting


def _stacked(entries: list[CanvasBatch]) -> CanvasBatch:
    names = [field.name for field in dataclasses.fields(CanvasBatch)]
    return CanvasBatch(*(np.stack([getattr(one, name) for one in entries]) for name in names))


def _targets(
    objects: Objects, where: Placement, max_objects: int, masks: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Boxes [K, 4], classes [K] and masks [K, 112, 112] of one image; -1 where there is none."""
    moved = where.to_canvas(objects.boxes)
    visible = (moved[:, 2:] - moved[:, :2] >= _SMALLEST_SIDE).all(axis=1)
    use = np.flatnonzero(visible & ~objects.crowd & ~objects.difficult)[:max_objects]
    mask_side = MASK_SIDE if masks else 0
    boxes = np.full((max_objects, 4), -1, np.float32)
    classes = np.full(max_objects, -1, np.int32)
    cut = np.full((max_objects, mask_side, mask_side), -1, np.float32)
    boxes[: len(use)] = moved[use]
    classes[: len(use)] = objects.classes[use] + 1
    if masks:
        for row, index in enumerate(use):
            mask = outline_mask(objects.segmentations[index], *where.size)
            crop = crop_mask(mask, where.to_image(moved[index])[0], MASK_SIDE)
            cut[row] = crop[:, ::-1] if where.flipped else crop
    return boxes, classes, cut
