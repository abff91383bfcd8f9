"""A picture cut into nine pieces in random order: the puzzle of PIRL and InfoMin."""

from __future__ import annotations

import tensorflow as tf

from burn_tf._checks import UserError

GRID = 3
PIECES = GRID * GRID


def check_side(side: int) -> None:
    """Raise where the cells of an image with this smaller side, in pixels, have less than 2."""
    if side < 2 * GRID:
        raise UserError(
            f"images must have at least {2 * GRID} pixels a side to be cut into {PIECES} pieces. "
            f"Received: {side}"
        )


def jigsaw_pieces(images: tf.Tensor, numbers: tf.Tensor, crop: float = 0.75) -> tf.Tensor:
    """Nine pieces of each image, each cropped at random within its cell, in random order.

    The image is cut into 3 x 3 equal cells (what is left over at the right and bottom is not used).
    From each cell a square of `crop` times its side is cut at a random place, so that pieces do not
    fit by their edges alone.

    Args:
        images: [B, H, W, C]; H and W static, at least 6 pixels.
        numbers: [B, 3, 9] uniform in [0, 1): order, row and column of the pieces.
        crop: share of the cell's side that a piece keeps; > 0, <= 1. InfoMin cuts 64 of 85 pixels.

    Returns:
        [9, B, h, w, C], of the images' dtype: piece i of each image is one of its nine cells.

    Raises:
        UserError: for images whose cells have less than 2 pixels.

    Example:
        >>> jigsaw_pieces(tf.zeros([2, 32, 32, 3]), tf.random.uniform([2, 3, 9])).shape
        TensorShape([9, 2, 8, 8, 3])

    Source: Misra & van der Maaten, PIRL, CVPR 2020, sec. 3.2, arXiv 1912.01991; Tian et al.,
        InfoMin, NeurIPS 2020, appendix, arXiv 2005.10243.
    Departs from source: pieces are cut from a finished view; PIRL changes the colours of each.
    """
    check_side(min(images.shape[1:3]))
    cell = (images.shape[1] // GRID, images.shape[2] // GRID)
    size = tuple(max(1, round(crop * side)) for side in cell)
    batch = tf.shape(images)[0]
    cut = images[:, : GRID * cell[0], : GRID * cell[1]]
    cut = tf.reshape(cut, [batch, GRID, cell[0], GRID, cell[1], images.shape[3]])
    cells = tf.reshape(
        tf.transpose(cut, [0, 1, 3, 2, 4, 5]), [batch, PIECES, *cell, images.shape[3]]
    )
    order = tf.argsort(numbers[:, 0], axis=1)
    cells = tf.gather(cells, order, axis=1, batch_dims=1)
    rows = _window(numbers[:, 1], cell[0], size[0])
    columns = _window(numbers[:, 2], cell[1], size[1])
    cells = tf.gather(cells, rows, axis=2, batch_dims=2)
    cells = tf.gather(tf.transpose(cells, [0, 1, 3, 2, 4]), columns, axis=2, batch_dims=2)
    return tf.transpose(cells, [1, 0, 3, 2, 4])


def _window(numbers: tf.Tensor, side: int, size: int) -> tf.Tensor:
    """[B, 9, size] indices of `size` pixels in a row, starting anywhere they fit into `side`."""
    first = tf.cast(numbers * float(side - size + 1), tf.int32)
    return tf.minimum(first, side - size)[..., tf.newaxis] + tf.range(size)
