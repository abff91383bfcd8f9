"""What the file of a detector gives: the box and the scores of every anchor, none left out."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import tensorflow as tf

from burn_tf.detection.retinanet import anchor_generator

# Larger boxes come of weights that have not learned yet; exp() of them would overflow.
LARGEST_DELTA = math.log(1000.0 / 16.0) / 0.2
_CENTRE_VARIANCE, _EXTENT_VARIANCE = 0.1, 0.2
BOXES, SCORES = "boxes", "scores"


def raw_outputs(network: tf.keras.Model, image_size: int, anchor_size: float) -> tf.keras.Model:
    """A detector's network with boxes and scores that need no knowledge of its anchors.

    Args:
        network: from normalised images [B, S, S, 3] to {"box": [B, A, 4], "classification":
            [B, A, classes]}; the result uses its layers.
        image_size: S, pixels.
        anchor_size: as given to `retinanet`, pixels.

    Returns:
        A model from the same images to two outputs: "boxes" float32 [B, A, 4], left, top, right,
        bottom as shares of the square's side, which objects at its edge exceed; and "scores"
        float32 [B, A, classes], each 0 to 1. What overlaps is not left out: that is
        non-maximum suppression, which is up to the caller.

    Source: RetinaNet, arXiv 1708.02002, sec. 4.
    Departs from source: none.
    """
    deltas, logits = (network.output[name] for name in ("box", "classification"))
    boxes = AnchorBoxes(image_size, anchor_size, name=BOXES)(deltas)
    scores = tf.keras.layers.Activation("sigmoid", name=SCORES)(logits)
    return tf.keras.Model(network.inputs, [boxes, scores], name=network.name)


@tf.keras.utils.register_keras_serializable(package="burn_tf.detection")
class AnchorBoxes(tf.keras.layers.Layer):
    """Boxes of what a box head gives: centre and extent as changes of the anchors'.

    Args:
        image_size: side of the square image, pixels.
        anchor_size: side of the smallest square anchor, pixels.
        kwargs: the other arguments of a layer.

    Source: RetinaNet, arXiv 1708.02002, sec. 4; the encoding is KerasCV's.
    Departs from source: none.
    """

    # In integer files too: eight bits would put an edge on one of 256 places in the picture.
    in_float = True

    def __init__(self, image_size: int, anchor_size: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.image_size, self.anchor_size = image_size, anchor_size
        self.centre, self.extent = _anchors(image_size, anchor_size)

    def call(self, deltas: tf.Tensor) -> tf.Tensor:
        """float32 [B, A, 4] of changes y, x, height, width to left, top, right, bottom."""
        large = tf.minimum(deltas[..., 2:], LARGEST_DELTA)
        centre = deltas[..., :2] * (_CENTRE_VARIANCE * self.extent) + self.centre
        half = tf.exp(_EXTENT_VARIANCE * large) * (self.extent / 2)
        ends = (centre - half, centre + half)
        return tf.concat([end[..., i : i + 1] for end in ends for i in (1, 0)], axis=-1)

    def get_config(self) -> dict[str, Any]:
        """Arguments that make the layer again."""
        own = {"image_size": self.image_size, "anchor_size": self.anchor_size}
        return super().get_config() | own


def _anchors(image_size: int, anchor_size: float) -> tuple[np.ndarray, np.ndarray]:
    """Centre y, x and height, width of all anchors, float32 [A, 2], as shares of the side."""
    with tf.init_scope():
        levels = anchor_generator(anchor_size)(image_shape=(image_size, image_size, 3))
        corners = np.concatenate([np.asarray(level) for level in levels.values()])
    low, high = (corners[:, start : start + 2][:, ::-1] / image_size for start in (0, 2))
    return ((low + high) / 2).astype(np.float32), (high - low).astype(np.float32)
