"""ResNet-18 and ResNet-50 in torchvision's layout."""

from __future__ import annotations

import os
from collections.abc import Sequence

import tensorflow as tf

from burn_tf.backbones.top import add_top, check_common, load_weights, make_input, scaled_channels
from burn_tf.layers import BatchNorm

_CHANNELS = (64, 128, 256, 512)
_EXPANSION = 4


def _conv_bn(x: tf.Tensor, filters: int, size: int, stride: int, name: str) -> tf.Tensor:
    """Convolution with torch's padding (size // 2 on every side), then batch norm."""
    padding = "same"
    if size > 1 and stride > 1:
        # `same` pads strided convolutions on one side more than on the other.
        x = tf.keras.layers.ZeroPadding2D(size // 2, name=f"{name}_pad")(x)
        padding = "valid"
    x = tf.keras.layers.Conv2D(
        filters,
        size,
        strides=stride,
        padding=padding,
        use_bias=False,
        kernel_initializer=tf.keras.initializers.VarianceScaling(
            2.0, "fan_out", "untruncated_normal"
        ),
        name=f"{name}_conv",
    )(x)
    return BatchNorm(name=f"{name}_bn")(x)


def _relu(x: tf.Tensor, name: str) -> tf.Tensor:
    return tf.keras.layers.ReLU(name=name)(x)


def _shortcut(x: tf.Tensor, channels: int, stride: int, name: str) -> tf.Tensor:
    if stride == 1 and x.shape[-1] == channels:
        return x
    return _conv_bn(x, channels, 1, stride, f"{name}_downsample")


def _basic(x: tf.Tensor, channels: int, stride: int, name: str) -> tf.Tensor:
    y = _relu(_conv_bn(x, channels, 3, stride, f"{name}_1"), f"{name}_1_relu")
    y = _conv_bn(y, channels, 3, 1, f"{name}_2")
    y = tf.keras.layers.Add(name=f"{name}_add")([y, _shortcut(x, channels, stride, name)])
    return _relu(y, f"{name}_out")


def _bottleneck(x: tf.Tensor, channels: int, stride: int, name: str) -> tf.Tensor:
    wide = channels * _EXPANSION
    y = _relu(_conv_bn(x, channels, 1, 1, f"{name}_1"), f"{name}_1_relu")
    y = _relu(_conv_bn(y, channels, 3, stride, f"{name}_2"), f"{name}_2_relu")
    y = _conv_bn(y, wide, 1, 1, f"{name}_3")
    y = tf.keras.layers.Add(name=f"{name}_add")([y, _shortcut(x, wide, stride, name)])
    return _relu(y, f"{name}_out")


def _stem(x: tf.Tensor, channels: int, small_image_stem: bool) -> tf.Tensor:
    if small_image_stem:
        return _relu(_conv_bn(x, channels, 3, 1, "stem"), "stem_relu")
    x = _relu(_conv_bn(x, channels, 7, 2, "stem"), "stem_relu")
    # Zero is neutral for the maximum, since the ReLU leaves nothing below it.
    x = tf.keras.layers.ZeroPadding2D(1, name="stem_pool_pad")(x)
    return tf.keras.layers.MaxPooling2D(3, strides=2, name="stem_pool")(x)


def _resnet(
    depths: Sequence[int],
    bottleneck: bool,
    input_shape: tuple[int | None, ...] | None,
    include_top: bool,
    weights: str | os.PathLike[str] | None,
    pooling: str | None,
    classes: int,
    width: float,
    small_image_stem: bool,
    classifier_activation: str | None,
    name: str,
) -> tf.keras.Model:
    check_common(pooling, classes, width)
    block = _bottleneck if bottleneck else _basic
    inputs = make_input(input_shape)
    x = _stem(inputs, scaled_channels(_CHANNELS[0], width), small_image_stem)
    for stage, (depth, channels) in enumerate(zip(depths, _CHANNELS, strict=True), start=1):
        for index in range(depth):
            stride = 2 if index == 0 and stage > 1 else 1
            x = block(x, scaled_channels(channels, width), stride, f"layer{stage}_{index}")
    x = add_top(x, include_top, pooling, classes, classifier_activation)
    return load_weights(tf.keras.Model(inputs, x, name=name), weights)


def ResNet18(
    input_shape: tuple[int | None, ...] | None = None,
    include_top: bool = True,
    weights: str | os.PathLike[str] | None = None,
    pooling: str | None = None,
    classes: int = 1000,
    width: float = 1.0,
    small_image_stem: bool = False,
    classifier_activation: str | None = None,
    name: str = "resnet18",
) -> tf.keras.Model:
    """ResNet-18 with torch's symmetric padding: 11.7 million weights, 512 features.

    Args:
        input_shape: (height, width, channels); None, here or for the first two, means any. Default
            any size with three channels.
        include_top: end in global pooling and a Dense layer of `classes`. Default True.
        weights: None (default: random) or the path of a `.keras` or `.h5` file.
        pooling: without a top, "avg" or "max" gives [B, D]; None (default) gives the map.
        classes: outputs of the top, >= 1. Default 1000 (ImageNet).
        width: factor of all channel counts, > 0, rounded to multiples of 8. Default 1.
        small_image_stem: a 3x3 convolution of stride 1 in place of 7x7, stride 2 and pooling, as
            usual at 32 px. Default False.
        classifier_activation: of the top. Default None: logits.
        name: the model's name.

    Returns:
        A functional model from float images [B, H, W, channels], normalised by
        `burn_tf.data.preprocess_input`; pooled outputs are float32 or wider.

    Raises:
        UserError: a value outside the listed ones, or weights that do not fit.

    Example:
        >>> from burn_tf.backbones import ResNet18
        >>> ResNet18((32, 32, 3), include_top=False, pooling="avg", width=0.25).output_shape
        (None, 128)

    Source: He et al., CVPR 2016, Table 1, arXiv 1512.03385; layout of torchvision.
    Departs from source: none.
    """
    return _resnet(
        (2, 2, 2, 2),
        False,
        input_shape,
        include_top,
        weights,
        pooling,
        classes,
        width,
        small_image_stem,
        classifier_activation,
        name,
    )


def ResNet50(
    input_shape: tuple[int | None, ...] | None = None,
    include_top: bool = True,
    weights: str | os.PathLike[str] | None = None,
    pooling: str | None = None,
    classes: int = 1000,
    width: float = 1.0,
    small_image_stem: bool = False,
    classifier_activation: str | None = None,
    name: str = "resnet50",
) -> tf.keras.Model:
    """ResNet-50 with torch's symmetric padding: 25.6 million weights, 2048 features.

    Args:
        input_shape: (height, width, channels); None, here or for the first two, means any. Default
            any size with three channels.
        include_top: end in global pooling and a Dense layer of `classes`. Default True.
        weights: None (default: random) or the path of a `.keras` or `.h5` file.
        pooling: without a top, "avg" or "max" gives [B, D]; None (default) gives the map.
        classes: outputs of the top, >= 1. Default 1000 (ImageNet).
        width: factor of all channel counts, > 0, rounded to multiples of 8. Default 1.
        small_image_stem: a 3x3 convolution of stride 1 in place of 7x7, stride 2 and pooling, as
            usual at 32 px. Default False.
        classifier_activation: of the top. Default None: logits.
        name: the model's name.

    Returns:
        A functional model from float images [B, H, W, channels], normalised by
        `burn_tf.data.preprocess_input`; pooled outputs are float32 or wider.

    Raises:
        UserError: a value outside the listed ones, or weights that do not fit.

    Example:
        >>> from burn_tf.backbones import ResNet50
        >>> ResNet50((32, 32, 3), include_top=False, pooling="avg", width=0.25).output_shape
        (None, 512)

    Source: He et al., CVPR 2016, Table 1, arXiv 1512.03385; layout of torchvision.
    Departs from source: the stride lies in the 3x3 convolution (torchvision's layout).
    """
    return _resnet(
        (3, 4, 6, 3),
        True,
        input_shape,
        include_top,
        weights,
        pooling,
        classes,
        width,
        small_image_stem,
        classifier_activation,
        name,
    )
