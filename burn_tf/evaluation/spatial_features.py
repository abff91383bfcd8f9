"""Features with a little of where things are: the last feature map on a small grid."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from burn_tf._checks import check_integer


class _GridAverage(tf.keras.layers.Layer):
    """[B, H, W, C] -> [B, side * side * C]: means of the cells of an even grid, row by row.

    Cell i spans the rows floor(i H / side) to ceil((i + 1) H / side), as in PyTorch's adaptive
    pooling: no cell is empty, and cells overlap where H is no multiple of the side.
    """

    def __init__(self, side: int, **options: Any) -> None:
        super().__init__(**options)
        self.side = side

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "side": self.side}

    def call(self, maps: tf.Tensor) -> tf.Tensor:
        height, width = tf.shape(maps)[1], tf.shape(maps)[2]
        cells = [
            tf.reduce_mean(rows[:, :, self._part(j, width)], axis=[1, 2])
            for rows in (maps[:, self._part(i, height)] for i in range(self.side))
            for j in range(self.side)
        ]
        return tf.concat(cells, axis=1)

    def _part(self, index: int, length: tf.Tensor) -> slice:
        return slice(index * length // self.side, -(-(index + 1) * length // self.side))


def grid_features(
    backbone: Callable[..., tf.Tensor], values: int = 4096
) -> tuple[Callable[..., tf.Tensor], str]:
    """The network with its global pooling replaced by the largest square grid of `values` or fewer.

        side = floor(sqrt(values / C)), at least 1

    ReActNet's map of 7 x 7 x 1,024 becomes 2 x 2 x 1,024 = 4,096; 2,048 channels stay one vector.

    Args:
        backbone: a Keras model that ends in `GlobalAveragePooling2D`; anything else is taken as
            it is.
        values: how many values an image may have, at least 1.

    Returns:
        The network, which shares its weights, and words for the record.

    Raises:
        UserError: `values` is not a positive whole number.

    Example:
        >>> import tensorflow as tf
        >>> from burn_tf.backbones import ReActNetTiny
        >>> from burn_tf.evaluation.spatial_features import grid_features
        >>> tiny = ReActNetTiny(input_shape=(64, 64, 3), include_top=False, pooling="avg")
        >>> grid_features(tiny, values=4 * tiny.output_shape[1])[1]
        'last feature map averaged to 2 x 2'

    Source: Goyal et al., arXiv 1905.01235, sec. 6.1 (features of a layer are pooled to a common
        size); Kim & Choi (BURN): 4,096 values.
    Departs from source: the rule for networks other than ReActNet is ours.
    """
    check_integer("values", values, low=1)
    maps = _last_map(backbone)
    if maps is None:
        return backbone, "the output as it is"
    sides = [side for side in maps.shape[1:3] if side is not None]
    side = min([max(1, math.isqrt(values // int(maps.shape[-1]))), *sides])
    if side == 1:
        return backbone, "last feature map averaged to 1 x 1"
    assert isinstance(backbone, tf.keras.Model)
    model = tf.keras.Model(backbone.input, _GridAverage(side)(maps), name=backbone.name)
    return model, f"last feature map averaged to {side} x {side}"


def _last_map(backbone: Callable[..., tf.Tensor]) -> tf.Tensor | None:
    if not isinstance(backbone, tf.keras.Model) or not getattr(backbone, "inputs", None):
        return None
    last = backbone.layers[-1]
    pooled = isinstance(last, tf.keras.layers.GlobalAveragePooling2D)
    return last.input if pooled and last.data_format == "channels_last" else None
