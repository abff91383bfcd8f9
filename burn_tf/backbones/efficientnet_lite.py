"""EfficientNet-Lite0: a small float network without squeeze-and-excite and swish."""

from __future__ import annotations

import os

import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.backbones.top import add_top, check_common, load_weights, make_input, scaled_channels
from burn_tf.layers import BatchNorm

_STEM_CHANNELS = 32
_HEAD_CHANNELS = 1280
# Expansion, kernel size, stride of the first block, channels, number of blocks.
_STAGES = (
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)
_OWN_MEAN = 127.0
_OWN_STD = 128.0


def _initializer(mode: str) -> tf.keras.initializers.Initializer:
    return tf.keras.initializers.VarianceScaling(2.0, mode, "untruncated_normal")


def _norm(x: tf.Tensor, name: str) -> tf.Tensor:
    return BatchNorm(momentum=0.99, epsilon=1e-3, name=f"{name}_bn")(x)


def _conv_bn(x: tf.Tensor, filters: int, size: int, stride: int, name: str) -> tf.Tensor:
    x = tf.keras.layers.Conv2D(
        filters,
        size,
        strides=stride,
        padding="same",
        use_bias=False,
        kernel_initializer=_initializer("fan_out"),
        name=f"{name}_conv",
    )(x)
    return _norm(x, name)


def _depthwise_bn(x: tf.Tensor, size: int, stride: int, name: str) -> tf.Tensor:
    x = tf.keras.layers.DepthwiseConv2D(
        size,
        strides=stride,
        padding="same",
        use_bias=False,
        # Each output of a depthwise convolution sees one channel: `fan_in` would count them all.
        depthwise_initializer=tf.keras.initializers.RandomNormal(stddev=(2 / size**2) ** 0.5),
        name=f"{name}_conv",
    )(x)
    return _norm(x, name)


def _relu6(x: tf.Tensor, name: str) -> tf.Tensor:
    return tf.keras.layers.ReLU(6.0, name=name)(x)


def _block(
    x: tf.Tensor, expansion: int, size: int, stride: int, channels: int, name: str
) -> tf.Tensor:
    y = x
    if expansion > 1:
        y = _conv_bn(y, x.shape[-1] * expansion, 1, 1, f"{name}_expand")
        y = _relu6(y, f"{name}_expand_relu")
    y = _relu6(_depthwise_bn(y, size, stride, f"{name}_depthwise"), f"{name}_depthwise_relu")
    y = _conv_bn(y, channels, 1, 1, f"{name}_project")
    if stride == 1 and x.shape[-1] == channels:
        y = tf.keras.layers.Add(name=f"{name}_out")([y, x])
    return y


def _own_normalisation(x: tf.Tensor) -> tf.Tensor:
    """From ((p / 255) - mean) / std, as `preprocess_input` gives, to (p - 127) / 128."""
    # Late, because the package of data imports far more than this network needs.
    from burn_tf.data.preprocessing import IMAGENET_MEAN, IMAGENET_STD

    if x.shape[-1] != len(IMAGENET_MEAN):
        raise UserError(
            "`include_preprocessing` must be False but for images of three channels. "
            f"Received: {x.shape[-1]} channels"
        )
    scale = [255 * std / _OWN_STD for std in IMAGENET_STD]
    offset = [(255 * mean - _OWN_MEAN) / _OWN_STD for mean in IMAGENET_MEAN]
    return tf.keras.layers.Rescaling(scale, offset, name="own_normalisation")(x)


def _body(x: tf.Tensor, width: float) -> tf.Tensor:
    x = _relu6(_conv_bn(x, scaled_channels(_STEM_CHANNELS, width), 3, 2, "stem"), "stem_relu")
    index = 0
    for expansion, size, first_stride, channels, count in _STAGES:
        for repeat in range(count):
            index += 1
            stride = first_stride if repeat == 0 else 1
            filters = scaled_channels(channels, width)
            x = _block(x, expansion, size, stride, filters, f"block{index}")
    return _relu6(_conv_bn(x, scaled_channels(_HEAD_CHANNELS, width), 1, 1, "head"), "head_out")


def EfficientNetLite0(
    input_shape: tuple[int | None, ...] | None = None,
    include_top: bool = True,
    weights: str | os.PathLike[str] | None = None,
    pooling: str | None = None,
    classes: int = 1000,
    width: float = 1.0,
    include_preprocessing: bool = False,
    classifier_activation: str | None = None,
    name: str = "efficientnet_lite0",
) -> tf.keras.Model:
    """EfficientNet-Lite0: 4.7 million weights, 1280 features, 0.4e9 MACs at 224 px.

    Args:
        input_shape: (height, width, channels); None, here or for the first two, means any. Default
            any size with three channels.
        include_top: end in global pooling and a Dense layer of `classes`. Default True.
        weights: None (default: random) or the path of a `.keras` or `.h5` file, such as one that
            `burn_tf.convert.convert_checkpoint` made.
        pooling: without a top, "avg" or "max" gives [B, D]; None (default) gives the map.
        classes: outputs of the top, >= 1. Default 1000 (ImageNet).
        width: factor of all channel counts, > 0, rounded to multiples of 8. Default 1.
        include_preprocessing: begin with a layer that turns the normalisation of
            `burn_tf.data.preprocess_input` into the network's own, (pixel - 127) / 128, with which
            its published weights were trained; needs three channels. Default False.
        classifier_activation: of the top. Default None: logits.
        name: the model's name.

    Returns:
        A functional model from float images [B, H, W, channels], normalised as said above; pooled
        outputs are float32 or wider.

    Raises:
        UserError: a value outside the listed ones, preprocessing of images without three channels,
            or weights that do not fit.

    Example:
        >>> from burn_tf.backbones import EfficientNetLite0
        >>> EfficientNetLite0((32, 32, 3), include_top=False, pooling="avg").output_shape
        (None, 1280)

    Source: Tan and Le, ICML 2019, Table 1, arXiv 1905.11946; Lite0 of the TensorFlow TPU models.
    Departs from source: no dropout and no stochastic depth.
    """
    check_common(pooling, classes, width)
    inputs = make_input(input_shape)
    x = _own_normalisation(inputs) if include_preprocessing else inputs
    x = add_top(_body(x, width), include_top, pooling, classes, classifier_activation)
    return load_weights(tf.keras.Model(inputs, x, name=name), weights)
