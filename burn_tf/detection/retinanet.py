"""KerasCV's RetinaNet on the pyramid of a binary backbone."""

from __future__ import annotations

import contextlib
import io
import math
from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from burn_tf._checks import check_integer, check_range
from burn_tf.detection.pyramid import BACKBONE_LEVELS, feature_pyramid, pyramid_backbone

BOX_FORMAT = "xyxy"
ANCHOR_SIZE = 32.0
_SMALLEST_ANCHOR = 16.0
ANCHORS = 9
# The start of the class logits: every anchor is an object of a class with this probability.
_PRIOR = 0.01
_STRIDES = (8, 16, 32, 64, 128)
_SCALES = (1.0, 2.0 ** (1 / 3), 2.0 ** (2 / 3))
_RATIOS = (0.5, 1.0, 2.0)
_IOU, _CONFIDENCE, _DETECTIONS = 0.5, 0.05, 100


def retinanet(
    backbone: tf.keras.Model,
    num_classes: int,
    image_size: int,
    *,
    width: int = 256,
    depth: int = 4,
    anchor_size: float | None = None,
    seed: int = 0,
) -> Any:
    """A `keras_cv.models.RetinaNet` on a copy of a backbone.

    Pyramid and heads are float32 and new; anchors (five levels, 3 scales, ratios 1:2, 1:1, 2:1,
    clipped to the image) and label encoding (positive from IoU 0.5, background below 0.4, else
    ignored) are KerasCV's own.

    Args:
        backbone: see `pyramid_backbone`; it stays as it is.
        num_classes: at least 1.
        image_size: side in pixels of the square input, at least 32.
        width: channels of pyramid and heads, at least 1. Default 256 (the paper's).
        depth: 3 x 3 convolutions with ReLU in each head, at least 0. Default 4 (the paper's;
            KerasCV's own has 3).
        anchor_size: side in pixels of the smallest square anchor at stride 8, above 0; it doubles
            from level to level. None: a quarter of `image_size`, between 16 (smaller anchors lie
            too far apart to meet every object) and 32 (KerasCV's). An object that no anchor meets
            with IoU 0.5, as one of half the smallest anchor's side, is not learned.
        seed: of the start values of all that is new, at least 0.

    Returns:
        The model: float images [B, S, S, 3], normalised by `burn_tf.data.preprocess_input`, to
        {"box": [B, A, 4], "classification": [B, A, num_classes]}; boxes are "xyxy" in pixels.
        Non-maximum suppression is per class at IoU 0.5, above a score of 0.05, at most 100 boxes.

    Raises:
        UserError: see `pyramid_backbone`, or a number out of range.

    Example:
        >>> from burn_tf.backbones import ReActNetTiny
        >>> from burn_tf.detection import retinanet
        >>> model = retinanet(ReActNetTiny(stem_strides=2), 3, 64, width=16, depth=1)
        >>> model.output_shape["classification"]
        (None, 774, 3)

    Source: Lin et al., Focal Loss for Dense Object Detection, ICCV 2017, arXiv 1708.02002.
    Departs from source: as KerasCV does; small images have small anchors.
    """
    check_integer("num_classes", num_classes, low=1)
    check_integer("depth", depth, low=0)
    check_integer("width", width, low=1)
    size = anchor_size_of(image_size) if anchor_size is None else anchor_size
    check_range("anchor_size", size, low=0.0, low_open=True)
    levels = pyramid_backbone(backbone, image_size, seed=seed)
    shapes = {name: tuple(levels.output_shape[name][1:]) for name in BACKBONE_LEVELS}
    parts = {
        "backbone": levels,
        "feature_pyramid": feature_pyramid(shapes, width, seed=seed),
        "classification_head": prediction_head(
            ANCHORS * num_classes,
            width,
            depth,
            bias=-math.log((1.0 - _PRIOR) / _PRIOR),
            seed=seed,
            name="classification_head",
        ),
        "box_head": prediction_head(ANCHORS * 4, width, depth, seed=seed + 50, name="box_head"),
    }
    return assembled(parts, num_classes, size)


def anchor_size_of(image_size: int) -> float:
    """The smallest anchor for images of this side, in pixels: a quarter of it, from 16 to 32."""
    return max(_SMALLEST_ANCHOR, min(ANCHOR_SIZE, image_size / 4))


def prediction_head(
    outputs: int, width: int, depth: int, *, bias: float = 0.0, seed: int = 0, name: str
) -> tf.keras.Model:
    """`depth` 3 x 3 convolutions with ReLU and one to `outputs` channels, for maps of any size.

    Args:
        outputs: channels of the result, at least 1.
        width: channels of the input and in between.
        depth: at least 0.
        bias: start of the last convolution's bias.
        seed: of the start values: normal with a deviation of 0.01.
        name: of the model.

    Source: RetinaNet, arXiv 1708.02002, sec. 4 and 4.1.
    Departs from source: the convolutions in between start as He et al. say (deviation 0.01 stalls
        narrow ones).
    """
    layers = [
        tf.keras.layers.Conv2D(
            width,
            3,
            padding="same",
            activation="relu",
            kernel_initializer=tf.keras.initializers.HeNormal(seed + 100 + number),
            name=f"conv_{number}",
        )
        for number in range(depth)
    ]
    last = tf.keras.layers.Conv2D(
        outputs,
        3,
        padding="same",
        kernel_initializer=tf.keras.initializers.RandomNormal(stddev=0.01, seed=seed + 99),
        bias_initializer=tf.keras.initializers.Constant(bias),
        name="prediction",
    )
    entry = tf.keras.Input((None, None, width), name="map")
    return tf.keras.Sequential([entry, *layers, last], name=name)


def _keras_cv() -> Any:
    """KerasCV, which takes 2 s to import and prints a line on its backend, which is not asked."""
    with contextlib.redirect_stdout(io.StringIO()):
        import keras_cv
    return keras_cv


def anchor_generator(anchor_size: float) -> Any:
    """KerasCV's anchors of five levels, the smallest square one of this side in pixels."""
    return _keras_cv().layers.AnchorGenerator(
        bounding_box_format=BOX_FORMAT,
        sizes=[anchor_size * stride / _STRIDES[0] for stride in _STRIDES],
        scales=list(_SCALES),
        aspect_ratios=list(_RATIOS),
        strides=list(_STRIDES),
        clip_boxes=True,
    )


def assembled(parts: Mapping[str, tf.keras.Model], num_classes: int, anchor_size: float) -> Any:
    """The detector of these parts: backbone, feature_pyramid, classification_head and box_head."""
    keras_cv = _keras_cv()
    decoder = keras_cv.layers.MultiClassNonMaxSuppression(
        BOX_FORMAT,
        from_logits=True,
        iou_threshold=_IOU,
        confidence_threshold=_CONFIDENCE,
        max_detections=_DETECTIONS,
        max_detections_per_class=_DETECTIONS,
    )
    return keras_cv.models.RetinaNet(
        num_classes=num_classes,
        bounding_box_format=BOX_FORMAT,
        anchor_generator=anchor_generator(anchor_size),
        prediction_decoder=decoder,
        **parts,
    )
