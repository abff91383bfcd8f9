"""Images as evaluations see them: resized, centre-cropped, in order."""

from __future__ import annotations

import tensorflow as tf

from burn_tf._checks import check_integer, check_range
from burn_tf.data.preprocessing import preprocess_input
from burn_tf.data.sources import Source

_PHOTO_SIDE = 128


def eval_dataset(
    source: Source,
    *,
    image_size: int,
    batch_size: int,
    antialias: bool = True,
    crop_fraction: float | None = None,
    normalise: bool = True,
) -> tf.data.Dataset:
    """Every image once, in the source's order.

    The short side is resized to image_size / crop_fraction and the centre is cut out.

    Args:
        source: the images.
        image_size: pixels, the side of the result.
        batch_size: images in a batch; the last one may be short.
        antialias: Pillow's bilinear filter when shrinking; False: plain bilinear.
        crop_fraction: in (0, 1]; None: 0.875 (224 of 256) from 128 px upwards, 1 below.
        normalise: apply `preprocess_input`, default True; False gives uint8 pixels of 0..255.

    Returns:
        Dataset of (float32 or uint8 [B, S, S, 3], int64 [B] labels, -1 where there are none).

    Example:
        >>> import burn_tf
        >>> source = burn_tf.data.load_source("digits", split="test")
        >>> dataset = burn_tf.data.eval_dataset(source, image_size=16, batch_size=4)
        >>> images, labels = next(iter(dataset))
        >>> tuple(images.shape), tuple(labels.shape)
        ((4, 16, 16, 3), (4,))

    Source: the resize and centre crop of the papers' ImageNet evaluations.
    Departs from source: none.
    """
    check_integer("image_size", image_size, low=1)
    check_integer("batch_size", batch_size, low=1)
    if crop_fraction is None:
        crop_fraction = 0.875 if image_size >= _PHOTO_SIDE else 1.0
    check_range("crop_fraction", crop_fraction, low=0.0, low_open=True, high=1.0)
    short = int(image_size / crop_fraction + 0.5)
    load, labels = source.loader(), source.label_tensor
    order = tf.data.Dataset.range(source.num_images)

    @tf.autograph.experimental.do_not_convert
    def make(index: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        pixels = _resized(load(index), image_size, short, antialias)
        return (preprocess_input if normalise else _whole)(pixels), tf.gather(labels, index)

    if source.array is not None:
        dataset = order.batch(batch_size).map(make, num_parallel_calls=tf.data.AUTOTUNE)
    else:
        dataset = order.map(make, num_parallel_calls=tf.data.AUTOTUNE).batch(batch_size)
    return dataset.prefetch(tf.data.AUTOTUNE)


def _whole(pixels: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.clip_by_value(tf.round(pixels), 0.0, 255.0), tf.uint8)


def _resized(images: tf.Tensor, size: int, short: int, antialias: bool) -> tf.Tensor:
    """uint8 [H, W, 3] or [B, H, W, 3] -> float32 [S, S, 3] or [B, S, S, 3] in 0..255."""
    batch = images if images.shape.rank == 4 else images[None]
    shape = tf.shape(batch)[1:3]
    resized = short * shape // tf.reduce_min(shape)
    first = tf.round(tf.cast(resized - size, tf.float32) / 2.0)
    pixels = tf.raw_ops.ScaleAndTranslate(
        images=batch, size=[size, size], scale=tf.cast(resized / shape, tf.float32),
        translation=-first, kernel_type="triangle", antialias=antialias,
    )  # fmt: skip
    pixels = tf.ensure_shape(pixels, [None, size, size, 3])
    return pixels if images.shape.rank == 4 else pixels[0]
