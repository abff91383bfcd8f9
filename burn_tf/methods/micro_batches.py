"""Micro-batches: the gradients of one update from parts of its batch, one after the other.

Of k parts, part i holds the rows i, i + k, i + 2 k, .. of every replica's batch. So it holds the
same images on one replica as on many, as long as k divides what each replica has.
"""

from __future__ import annotations

import contextlib
import contextvars
import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from burn_tf import distribute
from burn_tf._checks import UserError

if TYPE_CHECKING:
    from burn_tf.methods.base import SSLMethod

_PLACE: contextvars.ContextVar[tuple[Any, int]] = contextvars.ContextVar("place", default=(0, 1))


@dataclasses.dataclass(frozen=True)
class BatchShare:
    """What one replica computes from its part of a batch, or from all of them.

    Attributes:
        gradients: one tensor per variable that learns.
        figures: float32 scalars by name.
        rows: tensors [B, d] float32 with one row per image, d known when a graph is built.
    """

    gradients: list[tf.Tensor]
    figures: dict[str, tf.Tensor]
    rows: list[tf.Tensor]


def current_count() -> int:
    """Parts that the batch being computed is one of; 1 outside `accumulated`."""
    return _PLACE.get()[1]


def own_rows(tensor: tf.Tensor) -> tf.Tensor:
    """Rows of this replica and this part, of a tensor made for the whole global batch.

    Numbers drawn for the whole batch make one part and many, one replica and many see the same.
    """
    return part(distribute.own_rows(tensor), *_PLACE.get())


def whole_batch(rows: tf.Tensor | int) -> tf.Tensor | int:
    """Images in the whole global batch, of which this replica holds `rows` in this part."""
    return rows * distribute.num_replicas() * current_count()


def part(rows: tf.Tensor, index: tf.Tensor | int, count: int) -> tf.Tensor:
    """Part `index` of `count` of a tensor [B, ..]: its rows index, index + count, .."""
    if count == 1:
        return rows
    grouped = tf.reshape(rows, tf.concat([[-1, count], tf.shape(rows)[1:]], axis=0))
    size = None if rows.shape[0] is None else rows.shape[0] // count
    return tf.ensure_shape(grouped[:, index], [size, *rows.shape[1:]])


def check_accumulation(method: SSLMethod, batch_size: int | None, count: int) -> None:
    """Raise unless a global batch can be worked on in `count` micro-batches.

    Raises:
        UserError: a batch of unknown size, one that does not divide, or micro-batches too small for
            the method's losses or for batch norms.
    """
    if count == 1:
        return
    replicas = method.distribute_strategy.num_replicas_in_sync
    if batch_size is None or batch_size % (count * replicas):
        raise UserError(
            f"`batch_size` must be a multiple of `accumulate` = {count} times {replicas} "
            f"replica{'s' * (replicas > 1)}, for all batches. Received: {batch_size}"
        )
    least = max(2, method.minimum_batch())
    if batch_size // count < least:
        raise UserError(
            f"`accumulate` leaves {batch_size // count} images in a micro-batch, where "
            f"{type(method).__name__} and batch norms need {least}: use a smaller one, or a larger "
            f"`batch_size`. Received: {count}"
        )
    method.check_micro_batch(batch_size // count)


def accumulated(
    compute: Callable[[Sequence[tf.Tensor]], BatchShare],
    views: Sequence[tf.Tensor],
    variables: Sequence[tf.Variable],
    count: int,
) -> BatchShare:
    """`compute` of `count` parts of a batch in turn: gradients and figures averaged, rows joined.

    The graph holds `compute` once, and memory the activations of one part. Under a strategy all
    replicas compute the same part at a time.

    Args:
        compute: from tensors [B / count, ..]; must not hold tensors of a replica.
        views: tensors [B, ..] of this replica.
        variables: those of the gradients.
        count: k >= 1, a divisor of B.

    Returns:
        What `compute` gives for the whole batch, as far as it looks at each image alone.
    """
    if count == 1:
        return compute(views)
    size = views[0].shape[0]
    if size is not None and size % count:
        raise UserError(
            f"`batch_size` must be a multiple of `accumulate` = {count} on every replica. "
            f"Received: {size} images on one"
        )
    return BatchShare(*across_replicas(_Accumulation(compute, variables, count).run, tuple(views)))


def across_replicas(function: Callable[..., Any], *tensors: Any) -> Any:
    """`function(run, *tensors)` for all replicas at once; each gets its share of the result.

    `run(g, arguments)` calls g on every replica. A loop or a condition around it may hold sums over
    replicas, which TensorFlow does not allow in those of one replica.
    """
    strategy = tf.distribute.get_strategy()
    if distribute.num_replicas() == 1 or isinstance(strategy, tf.distribute.TPUStrategy):
        return function(_call, *tensors)
    context = tf.distribute.get_replica_context()
    return context.merge_call(lambda all_of_them, *t: function(all_of_them.run, *t), args=tensors)


def _call(function: Callable[..., Any], arguments: Sequence[Any]) -> Any:
    return function(*arguments)


@contextlib.contextmanager
def _at(index: tf.Tensor, count: int) -> Iterator[None]:
    token = _PLACE.set((index, count))
    try:
        yield
    finally:
        _PLACE.reset(token)


class _Accumulation:
    """The loop over the parts: sums of gradients, and all else end to end in one vector."""

    def __init__(
        self,
        compute: Callable[[Sequence[tf.Tensor]], BatchShare],
        variables: Sequence[tf.Variable],
        count: int,
    ) -> None:
        self.compute, self.variables, self.count = compute, variables, count
        # Known once `compute` has been traced.
        self.names: list[str] = []
        self.widths: list[int] = []

    @tf.autograph.experimental.do_not_convert
    def run(self, run: Callable[..., Any], views: Sequence[Any]) -> Any:
        def body(index: tf.Tensor, sums: Any, notes: Any) -> tuple[Any, ...]:
            return index + 1, *run(self._add, (index, sums, notes, views))

        start = (tf.constant(0), *run(self._nothing, ()))
        _, sums, notes = tf.while_loop(
            lambda index, *_: index < self.count,
            body,
            start,
            parallel_iterations=1,
            maximum_iterations=self.count,
        )
        return run(self._average, (sums, notes, views))

    def _nothing(self) -> tuple[list[tf.Tensor], tf.Tensor]:
        # A vector per part, whose length is known once `compute` has been traced. XLA takes no
        # tensor that grows in a loop, and a strategy no `tf.TensorArray`.
        notes = tf.raw_ops.TensorListReserve(
            element_shape=-1, num_elements=self.count, element_dtype=tf.float32
        )
        return [tf.zeros_like(variable) for variable in self.variables], notes

    def _add(
        self, index: tf.Tensor, sums: Sequence[tf.Tensor], notes: tf.Tensor, views: Sequence[Any]
    ) -> tuple[list[tf.Tensor], tf.Tensor]:
        with _at(index, self.count):
            share = self.compute([part(view, index, self.count) for view in views])
        self.names, self.widths = list(share.figures), [rows.shape[-1] for rows in share.rows]
        figures = tf.stack([tf.cast(value, tf.float32) for value in share.figures.values()])
        flat = [tf.reshape(rows, [-1]) for rows in share.rows]
        added = [total + one for total, one in zip(sums, share.gradients, strict=True)]
        note = tf.concat([figures, *flat], axis=0)
        return added, tf.raw_ops.TensorListSetItem(input_handle=notes, index=index, item=note)

    def _average(
        self, sums: Sequence[tf.Tensor], notes: tf.Tensor, views: Sequence[tf.Tensor]
    ) -> tuple[list[tf.Tensor], dict[str, tf.Tensor], list[tf.Tensor]]:
        """The whole batch's share from what the loop has gathered: the fields of `BatchShare`."""
        size = tf.shape(views[0])[0] // self.count
        lengths = [len(self.names), *[size * width for width in self.widths]]
        joined = tf.raw_ops.TensorListStack(
            input_handle=notes, element_shape=-1, element_dtype=tf.float32, num_elements=self.count
        )
        figures, *rows = tf.split(tf.reshape(joined, [self.count, -1]), lengths, axis=1)
        means = tf.unstack(tf.reduce_mean(figures, axis=0), num=len(self.names))
        return (
            [total / self.count for total in sums],
            dict(zip(self.names, means, strict=True)),
            [self._joined(flat, width) for flat, width in zip(rows, self.widths, strict=True)],
        )

    def _joined(self, flat: tf.Tensor, width: int) -> tf.Tensor:
        """Rows [B, width] in the batch's order, from those of one part after the other."""
        parts = tf.reshape(flat, [self.count, -1, width])
        return tf.reshape(tf.transpose(parts, [1, 0, 2]), [-1, width])


def batch_means(figures: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Scalars by name, averaged over replicas in one message."""
    values = tf.stack([tf.cast(value, tf.float32) for value in figures.values()])
    means = tf.unstack(distribute.all_reduce_mean(values), num=len(figures))
    return dict(zip(figures, means, strict=True))
