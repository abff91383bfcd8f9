"""A network with every kind of weight that a ReActNet has, built in a tenth of the time."""

from __future__ import annotations

import tensorflow as tf

from burn_tf.layers import BatchNorm, BinaryConv2D, RPReLU, RSign
from tests.backbones.reactnet_reference import randomize

NUM_BINARY = 2


def small_network(
    side: int | None = 8,
    channels: int = 3,
    width: int = 12,
    classes: int | None = None,
    binarize: str = "both",
    seed: int = 0,
) -> tf.keras.Model:
    """Features [B, `width`], or logits; all weights are random, in the order of the layers."""
    layers = tf.keras.layers
    inputs = tf.keras.Input((side, side, channels), name="images")
    x = layers.Conv2D(width, 3, padding="same", use_bias=False, name="stem_conv")(inputs)
    x = BatchNorm(name="stem_bn")(x)
    for size in (3, 1):
        signs = RSign(binarize=binarize != "none", name=f"sign_{size}")(x)
        conv = BinaryConv2D(width, size, binarize=binarize, pad_values=0.0, name=f"conv_{size}")
        y = BatchNorm(name=f"bn_{size}")(conv(signs))
        x = RPReLU(name=f"act_{size}")(layers.Add(name=f"add_{size}")([x, y]))
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    if classes is not None:
        x = layers.Dense(classes, name="logits")(x)
    model = tf.keras.Model(inputs, x, name="small")
    randomize(model, seed)
    return model
