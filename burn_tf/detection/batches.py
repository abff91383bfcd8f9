"""Images and boxes of a source as batches: at random for training, in order for scoring."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from burn_tf._checks import UserError, check_integer, check_range
from burn_tf.data import Source, randomness
from burn_tf.detection.letterbox import fitting_scale, letterbox

NO_OBJECT = -1.0
_SLOTS = 4


def training_batches(
    source: Source,
    *,
    image_size: int,
    batch_size: int,
    epochs: int = 1,
    seed: int = 0,
    min_scale: float = 0.6,
    flip: bool = True,
    antialias: bool = True,
) -> tf.data.Dataset:
    """Batches of images and boxes, each image at a random scale and place, perhaps mirrored.

    Everything random is a function of (seed, epoch, image index). Batches run over the borders of
    epochs, so that all have one size; what is left of the last epoch is left out.

    Args:
        source: with `objects`; crowds are no targets, difficult objects are.
        image_size: side S of the square in pixels.
        batch_size: at most the number of images.
        epochs: passes over the source, at least 1.
        seed: any integer.
        min_scale: inside (0, 1]: the image's long side is between this part of S and S.
        flip: mirror half of the images.
        antialias: see `letterbox`.

    Returns:
        Dataset of (float32 [B, S, S, 3], boxes float32 [B, M, 4], classes float32 [B, M]); boxes
        are left, top, right, bottom in pixels; M is the most that any image has, at least 1, and
        what an image has less is filled with -1.

    Raises:
        UserError: a source without boxes, a box without area, a batch larger than the source.

    Source: multi-scale training as in Detectron2's VOC configuration (short side 480 to 800 px).
    Departs from source: a square, in which the image has its place at random.
    """
    table = _BoxTable(source)
    check_range("min_scale", min_scale, low=0.0, low_open=True, high=1.0)
    check_integer("batch_size", batch_size, low=1, high=source.num_images)
    load, count = source.loader(), source.num_images

    @tf.autograph.experimental.do_not_convert
    def make(position: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        epoch = position // count
        index = randomness.shuffled(seed, epoch, (position % count)[None], count)[0]
        drawn = randomness.uniform(seed, epoch, index, 0, _SLOTS)
        image = load(index)
        size = tf.shape(image)[:2]
        part = min_scale + (1.0 - min_scale) * drawn[0]
        scale = fitting_scale(size, image_size) * part
        room = tf.maximum(float(image_size) - tf.cast(size, tf.float32) * scale, 0.0)
        corner = room * drawn[1:3]
        pixels = letterbox(image, image_size, scale, corner, antialias=antialias)
        boxes, classes = table.of(index)
        boxes = boxes * scale + tf.gather(corner, [1, 0, 1, 0])
        if flip:
            pixels, boxes = _perhaps_mirrored(drawn[3] < 0.5, pixels, boxes)
        return pixels, *table.padded(boxes, classes)

    total = check_integer("epochs", epochs, low=1) * count // batch_size * batch_size
    dataset = tf.data.Dataset.range(total).map(
        make, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
    )
    return dataset.batch(batch_size, drop_remainder=True).prefetch(tf.data.AUTOTUNE)


def scoring_batches(
    source: Source, *, image_size: int, batch_size: int, antialias: bool = True
) -> tf.data.Dataset:
    """Every image once, in order, as large as it fits into the upper left corner of a square.

    Args:
        source: the images.
        image_size: side S of the square in pixels.
        batch_size: images in a batch; the last one may be short.
        antialias: see `letterbox`.

    Returns:
        Dataset of (float32 [B, S, S, 3], int32 [B, 2] heights and widths of the images).
    """
    load = source.loader()

    @tf.autograph.experimental.do_not_convert
    def make(index: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        image = load(index)
        size = tf.shape(image)[:2]
        scale = fitting_scale(size, image_size)
        return letterbox(image, image_size, scale, tf.zeros([2]), antialias=antialias), size

    dataset = tf.data.Dataset.range(source.num_images).map(
        make, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
    )
    return dataset.batch(batch_size).prefetch(tf.data.AUTOTUNE)


def _perhaps_mirrored(
    mirrored: tf.Tensor, pixels: tf.Tensor, boxes: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    side = float(pixels.shape[1])
    left, top, right, bottom = tf.unstack(boxes, axis=-1)
    other = tf.stack([side - right, top, side - left, bottom], axis=-1)
    return tf.where(mirrored, pixels[:, ::-1], pixels), tf.where(mirrored, other, boxes)


class _BoxTable:
    """All boxes of a source in one row, and where those of each image stand."""

    def __init__(self, source: Source) -> None:
        check_boxes(source)
        kept = [found.take(np.flatnonzero(~found.crowd)) for found in source.objects]
        counts = [len(found) for found in kept]
        self.most = max(1, *counts)
        with tf.init_scope(), tf.device("CPU:0"):
            self.starts = tf.constant(np.concatenate([[0], np.cumsum(counts)]), tf.int64)
            self.boxes = tf.constant(np.concatenate([found.boxes for found in kept]), tf.float32)
            self.classes = tf.constant(
                np.concatenate([found.classes for found in kept]), tf.float32
            )

    def of(self, index: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        start, end = self.starts[index], self.starts[index + 1]
        return self.boxes[start:end], self.classes[start:end]

    def padded(self, boxes: tf.Tensor, classes: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        missing = self.most - tf.shape(boxes)[0]
        boxes = tf.pad(boxes, [[0, missing], [0, 0]], constant_values=NO_OBJECT)
        classes = tf.pad(classes, [[0, missing]], constant_values=NO_OBJECT)
        return tf.ensure_shape(boxes, [self.most, 4]), tf.ensure_shape(classes, [self.most])


def check_boxes(source: Source) -> None:
    """Refuses a source without boxes, and boxes that no image can have.

    Sources of files cut boxes to their images and leave empty ones out; one made by hand may not.

    Raises:
        UserError: see above.
    """
    if not source.objects:
        raise UserError(
            "detection needs boxes: give voc:FOLDER, coco:FOLDER or a tfds: set with objects. "
            f"Received: {source.name!r} ({source.split}) without boxes"
        )
    for number, found in enumerate(source.objects):
        corners = np.asarray(found.boxes)
        whole = np.isfinite(corners).all() and (corners >= 0).all()
        if not whole or (corners[:, 2:] <= corners[:, :2]).any():
            raise UserError(
                "`objects` must have boxes (left, top, right, bottom) with an area, inside their "
                f"image. Received: {corners.tolist()} in image {number} of {source.name!r}"
            )
