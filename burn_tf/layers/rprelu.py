"""Activation with learned shifts and slope per channel."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from burn_tf._compat import NamedBuild
from burn_tf.layers.fusion import channel_sum, fused


def _convertible(
    inputs: tf.Tensor, shift_in: tf.Tensor, slope: tf.Tensor, shift_out: tf.Tensor
) -> tf.Tensor:
    """The pattern that the mobile converters replace by their PReLU.

    They know it only with a sum and a slope of one axis less than the input.
    """
    shifted = inputs + shift_in
    negative_slope = -tf.reshape(slope, [1] * (inputs.shape.rank - 2) + [-1])
    return tf.nn.relu(shifted) + negative_slope * tf.nn.relu(-shifted) + shift_out


@fused
def _forward(
    inputs: tf.Tensor, shift_in: tf.Tensor, slope: tf.Tensor, shift_out: tf.Tensor
) -> tf.Tensor:
    shifted = inputs + shift_in
    return tf.where(shifted > 0, shifted, slope * shifted) + shift_out


@fused
def _backward(
    inputs: tf.Tensor, shift_in: tf.Tensor, slope: tf.Tensor, upstream: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Gradient of the input, and the terms whose sums are the slope's."""
    shifted = inputs + shift_in
    positive = shifted > 0
    zeros = tf.zeros_like(upstream)
    return (
        tf.where(positive, upstream, slope * upstream),
        tf.where(positive, zeros, shifted * upstream),
    )


def shifted_prelu(
    inputs: tf.Tensor,
    shift_in: tf.Tensor,
    slope: tf.Tensor,
    shift_out: tf.Tensor,
    training: bool = False,
) -> tf.Tensor:
    """`PReLU(x + b1_c; slope_c) + b2_c`; True for `training` may compile it."""
    forward = _forward if training else _convertible

    @tf.custom_gradient
    def activate(x: tf.Tensor, b1: tf.Tensor, a: tf.Tensor, b2: tf.Tensor) -> Any:
        def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, ...]:
            downstream, slope_terms = _backward(x, b1, a, upstream)
            sums = [channel_sum(terms) for terms in (downstream, slope_terms, upstream)]
            return downstream, *sums

        return forward(x, b1, a, b2), gradient

    return activate(inputs, shift_in, slope, shift_out)


@tf.keras.utils.register_keras_serializable(package="burn_tf")
class RPReLU(NamedBuild):
    """PReLU between two learned shifts: `RPReLU(x) = PReLU(x + b1_c; slope_c) + b2_c`.

    PReLU(u; a) is u for u > 0 and a u otherwise. The shifts start at 0 and the slope at 0.25, as in
    the authors' code.

    Call arguments:
        inputs: [..., channels], any float dtype; the output has the same shape and dtype.

    Example:
        >>> import tensorflow as tf
        >>> from burn_tf.layers import RPReLU
        >>> RPReLU()(tf.constant([[-2.0, 0.0, 3.0]])).numpy().tolist()
        [[-0.5, 0.0, 3.0]]

    Source: ReActNet, Liu et al., ECCV 2020, sec. 4.2, arXiv 2003.03488.
    Departs from source: none.
    """

    def build(self, input_shape: Any) -> None:
        channels = [input_shape[-1]]
        self.shift_in = self.add_weight("shift_in", shape=channels, initializer="zeros")
        self.slope = self.add_weight(
            "slope", shape=channels, initializer=tf.keras.initializers.Constant(0.25)
        )
        self.shift_out = self.add_weight("shift_out", shape=channels, initializer="zeros")
        super().build(input_shape)

    def call(self, inputs: tf.Tensor, training: Any = None) -> tf.Tensor:
        return shifted_prelu(
            inputs,
            tf.convert_to_tensor(self.shift_in),
            tf.convert_to_tensor(self.slope),
            tf.convert_to_tensor(self.shift_out),
            training is True,
        )

    def compute_output_shape(self, input_shape: Any) -> Any:
        return tf.TensorShape(input_shape)
