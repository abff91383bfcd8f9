"""Turning images upside down, for networks whose kernels are mirrored."""

from __future__ import annotations

from typing import Any

import tensorflow as tf


@tf.keras.utils.register_keras_serializable(package="burn_tf")
class Rotate180(tf.keras.layers.Layer):
    """Images turned by 180 degrees: `y[b, i, j] = x[b, H - 1 - i, W - 1 - j]`.

    Weights from PyTorch need it. On even sizes torch's strided convolution samples at 0, 2, 4, ..,
    Keras' `same` at 1, 3, 5, ..: each is the other's mirror image. A network of mirrored kernels
    that sees turned images and ends in a global pool gives exactly torch's output.

    Call arguments:
        inputs: [B, H, W, channels], any dtype; the output has the same shape and dtype.

    Example:
        >>> import tensorflow as tf
        >>> from burn_tf.layers import Rotate180
        >>> Rotate180()(tf.reshape(tf.range(6.0), [1, 2, 3, 1])).numpy().ravel().tolist()
        [5.0, 4.0, 3.0, 2.0, 1.0, 0.0]

    Source: ours.
    Departs from source: none.
    """

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return tf.reverse(inputs, axis=[1, 2])

    def compute_output_shape(self, input_shape: Any) -> Any:
        return tf.TensorShape(input_shape)
