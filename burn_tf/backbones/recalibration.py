"""Moving statistics of batch norm, measured anew on data."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from burn_tf._checks import UserError, check_integer, check_rank


class _Statistics:
    """Mean and variance of everything that one batch norm layer has seen, in float64.

    Batches are merged as Chan, Golub and LeVeque do: sums of squares would cancel.
    """

    def __init__(self) -> None:
        self.count = 0
        self.mean: Any = 0.0
        self.squares: Any = 0.0

    def add(self, count: int, mean: np.ndarray, variance: np.ndarray) -> None:
        total = self.count + count
        step = mean - self.mean
        self.squares = self.squares + variance * count + step**2 * (self.count * count / total)
        self.mean = self.mean + step * (count / total)
        self.count = total

    def variance(self) -> np.ndarray:
        """With Bessel's correction, as `BatchNorm` keeps it."""
        return self.squares / max(self.count - 1, 1)


def _batch_norms(model: tf.keras.Model) -> list[tf.keras.layers.BatchNormalization]:
    kind = tf.keras.layers.BatchNormalization
    found = [layer for layer in model.submodules if isinstance(layer, kind)]
    if not found:
        raise UserError(f"`model` must have batch norm layers. Received: {model.name!r} with none")
    return found


def _vector(moments: tf.Tensor) -> np.ndarray:
    return np.ravel(moments).astype(np.float64)


def _recording_call(layer: tf.keras.layers.BatchNormalization, statistics: _Statistics) -> Any:
    """A stand-in for `layer.call` that normalises by the batch and remembers its moments."""

    def call(inputs: tf.Tensor, *args: Any, **kwargs: Any) -> tf.Tensor:
        del args, kwargs  # training and mask
        rank = inputs.shape.rank
        # `BatchNorm` treats vectors as images, so its axis may lie beyond theirs.
        channels = [axis for axis in layer.axis if axis < rank] or [rank - 1]
        axes = [axis for axis in range(rank) if axis not in channels]
        wide = inputs if inputs.dtype.size >= 4 else tf.cast(inputs, tf.float32)
        mean, variance = tf.nn.moments(wide, axes, keepdims=True)
        statistics.add(int(tf.size(wide)) // int(tf.size(mean)), _vector(mean), _vector(variance))
        gamma = tf.reshape(tf.cast(layer.gamma, wide.dtype), mean.shape) if layer.scale else None
        beta = tf.reshape(tf.cast(layer.beta, wide.dtype), mean.shape) if layer.center else None
        outputs = tf.nn.batch_normalization(wide, mean, variance, beta, gamma, layer.epsilon)
        return tf.cast(outputs, inputs.dtype)

    return call


@contextlib.contextmanager
def _recording(layers: list[Any]) -> Iterator[list[_Statistics]]:
    """While it lasts, the layers record; afterwards they are as they were."""
    statistics = [_Statistics() for _ in layers]
    try:
        for layer, record in zip(layers, statistics, strict=True):
            layer.call = _recording_call(layer, record)
        yield statistics
    finally:
        for layer in layers:
            layer.__dict__.pop("call", None)


def _images(batch: Any) -> tf.Tensor:
    images = tf.convert_to_tensor(batch[0] if isinstance(batch, (tuple, list)) else batch)
    check_rank("dataset", images, 4)
    return images


def recalibrate_batch_norm(
    model: tf.keras.Model, dataset: Iterable[Any], max_batches: int | None = None
) -> int:
    """Set the moving mean and variance of every batch norm layer to those of the data.

    The moments are those of all batches together, each value counting once (variance with Bessel's
    correction), not a moving average; the model runs once over the data, every batch norm layer
    normalising each batch by its own moments, as in training. Nothing else changes: dropout is off,
    no other weight is touched, and layers with `trainable=False` are measured too. Use it after
    weights were made binary, imported or averaged, or for images unlike those of pretraining.

    Args:
        model: with batch norm layers, nested models included.
        dataset: batches of images [B, H, W, C], alone or first in tuples such as (images, labels).
            Shuffled, and with as many images in a batch as in training: 32 or more.
        max_batches: stop after so many batches, >= 1. Default None: all of them.

    Returns:
        How many images were measured.

    Raises:
        UserError: no batch norm layer, no batch, images of another rank, or values that are not
            finite; the model is then unchanged.

    Example:
        >>> import tensorflow as tf
        >>> from burn_tf.backbones import ReActNetTiny, recalibrate_batch_norm
        >>> images = tf.data.Dataset.from_tensor_slices(tf.random.normal([64, 16, 16, 3]))
        >>> recalibrate_batch_norm(ReActNetTiny((16, 16, 3)), images.batch(32))
        64

    Source: "precise" batch norm, Wu and Johnson, 2021, arXiv 2105.07576, sec. 3.
    Departs from source: the variance is that of all data, not the mean of the batches' variances.
    """
    if max_batches is not None:
        check_integer("max_batches", max_batches, low=1)
    layers, seen = _batch_norms(model), 0
    with _recording(layers) as statistics:
        for index, batch in enumerate(dataset):
            if index == max_batches:
                break
            images = _images(batch)
            model(images, training=False)
            seen += int(images.shape[0])
    if seen == 0:
        raise UserError("`dataset` must give at least one batch. Received: an empty one")
    reached = [(layer, s) for layer, s in zip(layers, statistics, strict=True) if s.count]
    for layer, record in reached:
        if not np.isfinite(record.mean).all() or not np.isfinite(record.squares).all():
            raise UserError(
                "`dataset` must keep the model's activations finite. "
                f"Received: NaN or infinity at {layer.name!r}"
            )
    for layer, record in reached:
        layer.moving_mean.assign(record.mean.reshape(layer.moving_mean.shape))
        layer.moving_variance.assign(record.variance().reshape(layer.moving_variance.shape))
    return seen
