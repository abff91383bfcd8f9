"""ReActNet-A and a tiny sibling for tests and small images.

One block, from c_in to c_out channels with stride s (copies a and b only where c_out = 2 c_in):

    a = RPReLU(BN(BinConv3x3(RSign(x), stride s)) + (AvgPool2x2(x) if s == 2 else x))
    y = RPReLU(concat of BN(BinConv1x1(RSign(a))) + a over the copies, which share one RSign)
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import tensorflow as tf

from burn_tf._checks import check_choice, check_integer
from burn_tf.backbones.top import add_top, check_common, load_weights, make_input, scaled_channels
from burn_tf.layers import BatchNorm, BinaryConv2D, RPReLU, RSign
from burn_tf.layers.binary_conv import BINARIZE_MODES

_A_STEM = 32
_A_BLOCKS = (64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024)
_TINY_STEM = 8
_TINY_BLOCKS = (16, 16, 32, 64)


class _Builder:
    """The options that every block of one network shares."""

    def __init__(self, binarize: str, pad_values: float, estimator: str) -> None:
        self.binarize = check_choice("binarize", binarize, BINARIZE_MODES)
        self.pad_values = pad_values
        self.estimator = estimator

    def sign(self, x: tf.Tensor, name: str) -> tf.Tensor:
        return RSign(self.estimator, binarize=self.binarize != "none", name=name)(x)

    def conv_bn(self, x: tf.Tensor, filters: int, size: int, stride: int, name: str) -> tf.Tensor:
        conv = BinaryConv2D(
            filters,
            size,
            strides=stride,
            binarize=self.binarize,
            pad_values=self.pad_values,
            name=f"{name}_conv",
        )
        return BatchNorm(name=f"{name}_bn")(conv(x))

    def spatial(self, x: tf.Tensor, stride: int, name: str) -> tf.Tensor:
        channels = x.shape[-1]
        y = self.conv_bn(self.sign(x, f"{name}_sign_1"), channels, 3, stride, f"{name}_3x3")
        if stride == 2:
            # `same` differs from the authors' pool on odd sizes only, to fit the strided conv.
            x = tf.keras.layers.AveragePooling2D(2, padding="same", name=f"{name}_pool")(x)
        return RPReLU(name=f"{name}_act_1")(tf.keras.layers.Add(name=f"{name}_add_1")([y, x]))

    def pointwise(self, x: tf.Tensor, copies: int, name: str) -> tf.Tensor:
        channels = x.shape[-1]
        signs = self.sign(x, f"{name}_sign_2")
        halves = []
        for letter in "ab"[:copies]:
            y = self.conv_bn(signs, channels, 1, 1, f"{name}_1x1{letter}")
            halves.append(tf.keras.layers.Add(name=f"{name}_add_2{letter}")([y, x]))
        if copies == 2:
            halves = [tf.keras.layers.Concatenate(name=f"{name}_concat")(halves)]
        return RPReLU(name=f"{name}_out")(halves[0])

    def block(self, x: tf.Tensor, channels: int, stride: int, name: str) -> tf.Tensor:
        copies = channels // x.shape[-1]
        return self.pointwise(self.spatial(x, stride, name), copies, name)


def _stem(x: tf.Tensor, channels: int, stride: int) -> tf.Tensor:
    x = tf.keras.layers.Conv2D(
        channels, 3, strides=stride, padding="same", use_bias=False, name="stem_conv"
    )(x)
    return BatchNorm(name="stem_bn")(x)


def _widths(stem: int, blocks: Sequence[int], width: float) -> tuple[int, list[int]]:
    """Channels at `width`; rounding must keep every growth a doubling, so factors are kept."""
    first = scaled_channels(stem, width)
    return first, [first * (channels // stem) for channels in blocks]


def _reactnet(
    stem: int,
    blocks: Sequence[int],
    input_shape: tuple[int | None, ...] | None,
    include_top: bool,
    weights: str | os.PathLike[str] | None,
    pooling: str | None,
    classes: int,
    binarize: str,
    pad_values: float,
    width: float,
    stem_strides: int,
    estimator: str,
    embedding_units: int | None,
    classifier_activation: str | None,
    name: str,
) -> tf.keras.Model:
    check_common(pooling, classes, width)
    check_integer("stem_strides", stem_strides, low=1, high=4)
    builder = _Builder(binarize, pad_values, estimator)
    first, channels = _widths(stem, blocks, width)
    inputs = make_input(input_shape)
    x = _stem(inputs, first, stem_strides)
    for index, count in enumerate(channels, start=1):
        stride = 2 if count > x.shape[-1] and index > 1 else 1
        x = builder.block(x, count, stride, f"block{index}")
    x = add_top(x, include_top, pooling, classes, classifier_activation, embedding_units)
    return load_weights(tf.keras.Model(inputs, x, name=name), weights)


def ReActNetA(
    input_shape: tuple[int | None, ...] | None = None,
    include_top: bool = True,
    weights: str | os.PathLike[str] | None = None,
    pooling: str | None = None,
    classes: int = 1000,
    binarize: str = "both",
    pad_values: float = 1.0,
    width: float = 1.0,
    stem_strides: int = 2,
    estimator: str = "approx",
    embedding_units: int | None = None,
    classifier_activation: str | None = None,
    name: str = "reactnet_a",
) -> tf.keras.Model:
    """ReActNet-A: 31 binary convolutions, 1024 features, 4.82e9 binary MACs at 224 px.

    Args:
        input_shape: (height, width, channels); None, here or for the first two, means any. Default
            any size with three channels.
        include_top: end in global pooling and a Dense layer of `classes`. Default True.
        weights: None (default: random) or the path of a `.keras` or `.h5` file.
        pooling: without a top, "avg" or "max" gives [B, D]; None (default) gives the map.
        classes: outputs of the top, >= 1. Default 1000 (ImageNet).
        binarize: "none", "activations" (BURN's stage 1) or "both" (default).
        pad_values: around binary inputs, 0.0 (the authors') or 1.0 (default: fastest on phones).
        width: factor of all channel counts, > 0; the stem is rounded to a multiple of 8. Default 1.
        stem_strides: of the first convolution, 1 to 4. Default 2 (the paper's); 1 suits 32 px.
        estimator: gradient of the sign, "approx" (default, the paper's) or "ste" (BURN's authors').
        embedding_units: None (default), or the width of a Dense - ReLU after the pooling (1024 in
            BURN's authors' code); it implies pooling.
        classifier_activation: of the top. Default None: logits.
        name: the model's name.

    Returns:
        A functional model from float images [B, H, W, channels], normalised by
        `burn_tf.data.preprocess_input`; pooled outputs are float32 or wider. Every layer is named;
        `end_points` names the ends of the resolution levels.

    Raises:
        UserError: a value outside the listed ones, or weights that do not fit.

    Example:
        >>> from burn_tf.backbones import ReActNetA
        >>> backbone = ReActNetA((64, 64, 3), include_top=False, pooling="avg", width=0.25)
        >>> backbone.output_shape
        (None, 256)

    Source: ReActNet, Liu et al., ECCV 2020, arXiv 2003.03488; as BURN uses it, arXiv 2110.08851.
    Departs from source: sign(0) is +1; strided kernels sample as Keras does (mirrored on even
        sizes); odd sizes pool their last row and column alone.
    """
    return _reactnet(
        _A_STEM,
        _A_BLOCKS,
        input_shape,
        include_top,
        weights,
        pooling,
        classes,
        binarize,
        pad_values,
        width,
        stem_strides,
        estimator,
        embedding_units,
        classifier_activation,
        name,
    )


def ReActNetTiny(
    input_shape: tuple[int | None, ...] | None = None,
    include_top: bool = True,
    weights: str | os.PathLike[str] | None = None,
    pooling: str | None = None,
    classes: int = 10,
    binarize: str = "both",
    pad_values: float = 1.0,
    width: float = 1.0,
    stem_strides: int = 1,
    estimator: str = "approx",
    embedding_units: int | None = None,
    classifier_activation: str | None = None,
    name: str = "reactnet_tiny",
) -> tf.keras.Model:
    """ReActNet of four blocks and 64 features for 16 to 32 px: below 100 kB of float32 weights.

    Args:
        input_shape: (height, width, channels); None, here or for the first two, means any. Default
            any size with three channels.
        include_top: end in global pooling and a Dense layer of `classes`. Default True.
        weights: None (default: random) or the path of a `.keras` or `.h5` file.
        pooling: without a top, "avg" or "max" gives [B, D]; None (default) gives the map.
        classes: outputs of the top, >= 1. Default 10.
        binarize: "none", "activations" (BURN's stage 1) or "both" (default).
        pad_values: around binary inputs, 0.0 (the authors') or 1.0 (default: fastest on phones).
        width: factor of all channel counts, > 0; the stem is rounded to a multiple of 8. Default 1.
        stem_strides: stride of the first convolution, 1 to 4. Default 1.
        estimator: gradient of the sign, "approx" (default, the paper's) or "ste" (BURN's authors').
        embedding_units: None (default), or the width of a Dense - ReLU after the pooling (1024 in
            BURN's authors' code); it implies pooling.
        classifier_activation: of the top. Default None: logits.
        name: the model's name.

    Returns:
        A functional model from float images [B, H, W, channels], normalised by
        `burn_tf.data.preprocess_input`; pooled outputs are float32 or wider. Every layer is named;
        `end_points` names the ends of the resolution levels.

    Raises:
        UserError: a value outside the listed ones, or weights that do not fit.

    Example:
        >>> from burn_tf.backbones import ReActNetTiny
        >>> ReActNetTiny((32, 32, 3), include_top=False).output_shape
        (None, 8, 8, 64)

    Source: blocks of ReActNet, Liu et al., ECCV 2020, arXiv 2003.03488; the widths are ours.
    Departs from source: as `ReActNetA` does.
    """
    return _reactnet(
        _TINY_STEM,
        _TINY_BLOCKS,
        input_shape,
        include_top,
        weights,
        pooling,
        classes,
        binarize,
        pad_values,
        width,
        stem_strides,
        estimator,
        embedding_units,
        classifier_activation,
        name,
    )
