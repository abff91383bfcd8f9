"""Views of images in the order of their numbers, for what is computed from them once."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import tensorflow as tf

from burn_tf._checks import check_integer
from burn_tf.data.policies import Policy, get_policy
from burn_tf.data.sources import Source
from burn_tf.data.views import Plan, planned_dataset

Piece = tuple[int, int, int]


def fixed_views_dataset(
    source: Source,
    policy: str | Policy,
    pieces: Sequence[Piece],
    *,
    view: int,
    batch_size: int,
    image_size: int,
    seed: int = 0,
    workers: int | None = None,
) -> tf.data.Dataset:
    """One view of images in the order of their numbers, as `views_dataset` makes it, made here.

    Args:
        source, policy, seed, workers: as in `views_dataset`.
        pieces: (draw, first, stop) each: the images first..stop-1 as they are in epoch `draw`.
        view: number of the view, from 0.
        batch_size: images in a batch at most; a batch is of one piece.
        image_size: pixels, the side of the view.

    Returns:
        Dataset of float32 [<= B, S, S, 3].

    Raises:
        UserError: a number out of range.

    Example:
        >>> import burn_tf
        >>> from burn_tf.data.fixed_views import fixed_views_dataset
        >>> source = burn_tf.data.load_source("digits")
        >>> sizes = dict(view=0, batch_size=4, image_size=16)
        >>> dataset = fixed_views_dataset(source, "digits", [(1, 2, 8)], **sizes)
        >>> [batch.shape[0] for batch in dataset]
        [4, 2]

    Source: the augmentations of `Policy`.
    Departs from source: none.
    """
    source = dataclasses.replace(source, data_service=None)
    plan = _PiecePlan(source, pieces, view, batch_size, seed)
    views = [(get_policy(policy), check_integer("image_size", image_size, low=1))]
    return planned_dataset(plan, views, False, 0, workers).map(lambda made: made)


class _PiecePlan(Plan):
    """One batch after the other of every piece; the last batch of a piece may be short."""

    def __init__(
        self, source: Source, pieces: Sequence[Piece], view: int, batch_size: int, seed: int
    ) -> None:
        super().__init__(source, batch_size, epochs=1, drop_remainder=False, seed=seed)
        self.view = check_integer("view", view, low=0)
        rows = [row for piece in pieces for row in _batches(source, piece, batch_size)]
        self.total_steps = len(rows)
        with tf.init_scope(), tf.device("CPU:0"):
            self._rows = tf.constant(rows, tf.int64, shape=[len(rows), 3])

    def indices(self, step: tf.Tensor, offset: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        draw, first, stop = tf.unstack(self._rows[step])
        return draw, tf.minimum(first + offset, stop - 1)

    def count(self, step: tf.Tensor) -> tf.Tensor:
        return self._rows[step][2] - self._rows[step][1]

    def view_numbers(self, count: int) -> tf.Tensor:
        return tf.constant([self.view])


def _batches(source: Source, piece: Piece, batch_size: int) -> list[Piece]:
    draw, first, stop = piece
    check_integer("draw", draw, low=0)
    check_integer("stop", stop, low=1, high=source.num_images)
    check_integer("first", first, low=0, high=stop - 1)
    return [(draw, at, min(at + batch_size, stop)) for at in range(first, stop, batch_size)]
