"""Weight quantizer of BURN and ReActNet."""

from __future__ import annotations

import math
from typing import Any

import larq as lq
import tensorflow as tf

from burn_tf.layers.fusion import channel_sum, fused


def _convertible(weights: tf.Tensor, scale: tf.Tensor) -> tf.Tensor:
    """A product, since the mobile converter does not fold a large kernel out of a selection."""
    return tf.cast(lq.math.sign(weights), scale.dtype) * scale


def _mean(rows: tf.Tensor) -> tf.Tensor:
    """Mean over the first axis, added up in two steps.

    In one, 9,216 float32 values are added one after the other: 1e-6 off, and 3e-5 where all are
    equal, ten times as much as the rounding of the convolutions behind.
    """
    count = rows.shape[0]
    if count is None:
        return tf.reduce_mean(rows, axis=0)
    groups = max(size for size in range(1, math.isqrt(count) + 1) if count % size == 0)
    parts = tf.reshape(rows, [groups, count // groups, rows.shape[-1]])
    return tf.reduce_mean(tf.reduce_mean(parts, axis=1), axis=0)


@fused
def _signed(weights: tf.Tensor, scale: tf.Tensor) -> tf.Tensor:
    return tf.where(weights >= 0, scale, -scale)


@fused
def _clipped(weights: tf.Tensor, upstream: tf.Tensor) -> tf.Tensor:
    wide = tf.cast(upstream, weights.dtype)
    return tf.where(tf.abs(weights) <= 1, wide, tf.zeros_like(wide))


def scaled_sign(weights: tf.Tensor, dtype: Any = None, training: bool = False) -> tf.Tensor:
    """`sign(w) * mean|w|` per output channel (the last axis), with `ScaledSign`'s gradient.

    Args:
        weights: kernel [..., output channels]; half precision is computed in float32.
        dtype: of the result. Default that of `weights`.
        training: True may compile the arithmetic; the values are the same.
    """
    result_dtype = tf.as_dtype(dtype or weights.dtype)
    wide = weights if weights.dtype.size >= 4 else tf.cast(weights, tf.float32)

    @tf.custom_gradient
    def quantize(values: tf.Tensor) -> Any:
        rows = tf.reshape(values, [-1, values.shape[-1]])
        magnitude = tf.abs(rows)
        if training:
            scale = channel_sum(magnitude) / tf.cast(tf.shape(rows)[0], rows.dtype)
            signed = _signed(rows, tf.cast(scale, result_dtype))
        else:
            scale = _mean(magnitude)
            signed = _convertible(rows, tf.cast(scale, result_dtype))

        def gradient(upstream: tf.Tensor) -> tf.Tensor:
            return _clipped(values, upstream)

        return tf.reshape(signed, values.shape), gradient

    return quantize(wide)


@tf.keras.utils.register_keras_serializable(package="burn_tf")
class ScaledSign(lq.quantizers.Quantizer):
    """Binary weights with one scale per output channel: `q(w) = sign(w) * mean|w|`.

    The mean runs over all axes but the last, sign(0) = +1. Backward: dq/dw = 1 for |w| <= 1, else
    0; the scale neither multiplies the gradient nor carries any.

    Call arguments:
        inputs: kernel [..., output channels], any float dtype; half precision is computed in
            float32 and the result has the dtype of `inputs`.

    Example:
        >>> import tensorflow as tf
        >>> from burn_tf.layers import ScaledSign
        >>> ScaledSign()(tf.constant([[0.5], [-1.5]])).numpy().ravel().tolist()
        [1.0, -1.0]

    Source: ReActNet, Liu et al., ECCV 2020, arXiv 2003.03488, and its authors' code.
    Departs from source: sign(0) is +1 (as in Larq and its mobile engine), not 0.
    """

    precision = 1

    def __init__(self, **kwargs: Any) -> None:
        # Autocasting would round the latent weights before their sign and mean are taken.
        super().__init__(**{**kwargs, "autocast": False})
        self.built = True

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return scaled_sign(tf.convert_to_tensor(inputs))
