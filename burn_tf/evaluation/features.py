"""Features of a frozen backbone for whole data sets, and the two labelled splits a probe needs."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from burn_tf._checks import UserError, check_integer
from burn_tf.data import Source, eval_dataset


@dataclasses.dataclass(frozen=True)
class EvaluationData:
    """The labelled images of a probe: one split to fit on and one to score.

    Args:
        train: Labelled `Source` whose labels the probe may use.
        test: Labelled `Source` that is only scored.
        image_size: Side in pixels that images are resized and centre-cropped to, at least 1.
        batch_size: Images per forward pass, at least 1; changes the speed and not the features.
        cache: Folder that keeps the features of networks (see `feature_bank`); None: none.
        progress: Show on standard error how far the extraction of features is, default False.
        antialias: Pillow's filter when shrinking, default True; False: plain bilinear.
        output: Folder for what a protocol makes beside its figures: `detect:voc`'s detector and
            pictures; None: nothing is kept.

    Raises:
        UserError: `image_size` or `batch_size` is not a positive whole number.

    Example:
        >>> from burn_tf.data import load_source
        >>> from burn_tf.evaluation import EvaluationData
        >>> data = EvaluationData(load_source("digits"), load_source("digits", split="test"), 16)
    """

    train: Source
    test: Source
    image_size: int
    batch_size: int = 256
    cache: str | os.PathLike[str] | None = None
    progress: bool = False
    antialias: bool = True
    output: str | os.PathLike[str] | None = None

    def __post_init__(self) -> None:
        check_integer("image_size", self.image_size, low=1)
        check_integer("batch_size", self.batch_size, low=1)

    def datasets(self) -> tuple[tf.data.Dataset, tf.data.Dataset]:
        """The train and the test split as batches of (images, labels), in order."""
        return self.dataset(self.train), self.dataset(self.test)

    def dataset(self, source: Source) -> tf.data.Dataset:
        """A source as batches of (images, labels), in order."""
        return eval_dataset(
            source,
            image_size=self.image_size,
            batch_size=self.batch_size,
            antialias=self.antialias,
        )

    def describe(self) -> dict[str, Any]:
        """What the figures depend on, for the provenance of a result."""
        sides = {"train": self.train, "test": self.test}
        described: dict[str, Any] = {
            side: {
                "name": source.name,
                "split": source.split,
                "num_images": int(source.num_images),
                "fingerprint": source.fingerprint,
            }
            for side, source in sides.items()
        }
        return described | {"image_size": self.image_size, **self.resizing()}

    def resizing(self) -> dict[str, Any]:
        """How images become `image_size` pixels, for a result and for the key of a cache."""
        filters = "antialias" if self.antialias else "no antialias"
        return {
            "resize": f"eval_dataset: short side, centre crop (0.875 from 128 px up), {filters}",
            "resize_mode": "bilinear",
            "antialias": self.antialias,
        }


def raw_pixels(images: tf.Tensor) -> tf.Tensor:
    """The baseline without a network: [B, H, W, C] -> [B, H * W * C] pixels.

    Example:
        >>> import tensorflow as tf
        >>> from burn_tf.evaluation import raw_pixels
        >>> raw_pixels(tf.zeros([2, 4, 4, 3])).shape
        TensorShape([2, 48])
    """
    return tf.reshape(images, [tf.shape(images)[0], int(np.prod(images.shape[1:]))])


def _forward(backbone: Callable[..., tf.Tensor]) -> Callable[[tf.Tensor], Any]:
    # Keras keeps the traced function with the model: a second protocol does not trace it again.
    return backbone.predict_on_batch if isinstance(backbone, tf.keras.Model) else backbone


def _check_features(features: Any) -> None:
    shape = getattr(features, "shape", None)
    if shape is None or len(shape) != 2:
        received = "more than one output" if shape is None else f"an output of shape {tuple(shape)}"
        raise UserError(
            "`backbone` must give features [batch, dim]: build it with include_top=False and "
            f"pooling='avg'. Received: {received}"
        )


class _Rows:
    """Rows appended batch by batch into one array, which is not copied when the count is known."""

    def __init__(self, expected: int) -> None:
        self._expected = expected
        self._used = 0
        self._array: np.ndarray | None = None

    def append(self, rows: np.ndarray) -> None:
        if self._array is None:
            self._array = np.empty((max(self._expected, len(rows)), *rows.shape[1:]), rows.dtype)
        if self._used + len(rows) > len(self._array):
            grown = np.empty((2 * (self._used + len(rows)), *rows.shape[1:]), rows.dtype)
            grown[: self._used] = self._array[: self._used]
            self._array = grown
        self._array[self._used : self._used + len(rows)] = rows
        self._used += len(rows)

    def array(self) -> np.ndarray:
        if self._array is None:
            raise UserError("`dataset` must yield at least one batch. Received: none")
        return self._array[: self._used]


def _expected_rows(dataset: tf.data.Dataset, first_batch: int) -> int:
    batches = int(dataset.cardinality())
    return batches * first_batch if batches > 0 else first_batch


def feature_batches(
    backbone: Callable[..., tf.Tensor], dataset: tf.data.Dataset
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Features float32 [B, D] and labels [B] of each batch, with the backbone in inference mode.

    Raises:
        UserError: the output is not [B, D], or a feature is not finite.
    """
    forward = _forward(backbone)
    for images, targets in dataset:
        batch = forward(images)
        _check_features(batch)
        rows = np.asarray(tf.cast(batch, tf.float32))
        if not np.isfinite(rows).all():
            raise UserError(
                "`backbone` must give finite features: its weights or the images are broken. "
                f"Received: {int((~np.isfinite(rows)).sum())} NaN or infinite values in a batch"
            )
        yield rows, np.asarray(targets)


def extract_features(
    backbone: Callable[..., tf.Tensor], dataset: tf.data.Dataset
) -> tuple[np.ndarray, np.ndarray]:
    """Features of every image, with the backbone in inference mode.

    No variable of the backbone changes: batch norm uses its moving statistics and leaves them.

    Args:
        backbone: A `tf.keras.Model` giving [B, D], or any callable of that shape (`raw_pixels`).
        dataset: Batches of (images float32 [B, H, W, C], labels int [B]), as `eval_dataset` makes.

    Returns:
        Features float32 [N, D] and labels int64 [N] (-1: no label), in the data set's order.

    Raises:
        UserError: the output is not [B, D], a feature is not finite, or the data set is empty.

    Example:
        >>> from burn_tf.data import eval_dataset, load_source
        >>> from burn_tf.evaluation import extract_features, raw_pixels
        >>> images = eval_dataset(load_source("digits"), image_size=8, batch_size=64)
        >>> features, labels = extract_features(raw_pixels, images)
        >>> features.shape[1]
        192
    """
    features: _Rows | None = None
    labels: _Rows | None = None
    for rows, targets in feature_batches(backbone, dataset):
        if features is None or labels is None:
            expected = _expected_rows(dataset, len(rows))
            features, labels = _Rows(expected), _Rows(expected)
        features.append(rows)
        labels.append(targets.astype(np.int64))
    if features is None or labels is None:
        raise UserError("`dataset` must yield at least one batch. Received: none")
    return features.array(), labels.array()
