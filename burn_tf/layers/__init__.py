"""Keras layers of binary networks: quantizers, shifts, binary convolution, batch norm and heads."""

from burn_tf.layers.batch_norm import BatchNorm
from burn_tf.layers.binary_conv import BinaryConv2D
from burn_tf.layers.heads import burn_classifier, mlp_head
from burn_tf.layers.quantizers import ScaledSign
from burn_tf.layers.rotate180 import Rotate180
from burn_tf.layers.rprelu import RPReLU
from burn_tf.layers.rsign import RSign

__all__ = [
    "BatchNorm",
    "BinaryConv2D",
    "RPReLU",
    "RSign",
    "Rotate180",
    "ScaledSign",
    "burn_classifier",
    "mlp_head",
]
