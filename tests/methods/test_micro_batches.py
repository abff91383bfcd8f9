"""Parts of a batch, numbers drawn for all of it, and loops over them; methods: conformance."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.methods import micro_batches
from burn_tf.methods.micro_batches import BatchShare, accumulated, part

ROWS = np.arange(24, dtype=np.float32).reshape(12, 2)


def test_parts_are_every_kth_row() -> None:
    rows = tf.constant(ROWS)
    for index in range(3):
        np.testing.assert_array_equal(part(rows, index, 3), ROWS[index::3])
    assert part(rows, 0, 1) is rows
    assert part(tf.constant([5, 6, 7, 8]), 1, 2).numpy().tolist() == [6, 8]


@pytest.mark.parametrize("graph", [False, True])
def test_averages_and_joins(graph: bool) -> None:
    weight = tf.Variable([1.0, 2.0])
    drawn = tf.range(100, 112)
    seen = tf.Variable(0)

    def compute(views: list[tf.Tensor]) -> BatchShare:
        images, labels = views
        seen.assign_add(1)
        numbers = micro_batches.own_rows(drawn)
        figures = {"count": micro_batches.whole_batch(tf.shape(images)[0]), "sum": images[0, 0]}
        joined = tf.cast(tf.stack([labels, numbers], axis=1), tf.float32)
        return BatchShare([tf.reduce_mean(images, axis=0)], figures, [images, joined])

    def run(images: tf.Tensor, labels: tf.Tensor) -> tuple[Any, Any, Any]:
        share = accumulated(compute, (images, labels), [weight], 3)
        return share.gradients, share.figures, share.rows

    step = tf.function(run) if graph else run
    gradients, figures, rows = step(tf.constant(ROWS), tf.range(12))
    assert int(seen) == 3
    np.testing.assert_allclose(gradients[0], ROWS.mean(axis=0))
    # Every part belongs to a batch of 12; the parts' first rows are 0, 1 and 2.
    assert float(figures["count"]) == 12
    assert float(figures["sum"]) == 2.0
    np.testing.assert_array_equal(rows[0], ROWS)
    # Row i of the batch has number 100 + i, in whichever part it is.
    np.testing.assert_array_equal(rows[1], [[i, 100 + i] for i in range(12)])


def test_indivisible_share_is_refused() -> None:
    with pytest.raises(UserError, match=r"multiple of `accumulate` = 5 .*Received: 12 images"):
        accumulated(lambda views: BatchShare([], {}, []), (tf.constant(ROWS),), [], 5)
