"""Gathering and reducing over replicas, and the identity without a strategy."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from burn_tf import distribute


def test_identity_on_one_replica() -> None:
    x = tf.constant([[1.0, 2.0]])
    assert distribute.num_replicas() == 1
    for function in (
        distribute.all_gather,
        distribute.all_reduce_sum,
        distribute.all_reduce_mean,
    ):
        np.testing.assert_array_equal(function(x), x)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_two_replicas(dtype: str, two_replicas: tf.distribute.Strategy) -> None:
    def body() -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        rank = tf.cast(tf.distribute.get_replica_context().replica_id_in_sync_group, dtype)
        x = tf.reshape(rank + 1.0, [1])
        return (
            distribute.all_gather(x),
            distribute.all_reduce_sum(x),
            distribute.all_reduce_mean(x),
        )

    gathered, total, mean = tf.function(lambda: two_replicas.run(body))()
    first = two_replicas.experimental_local_results(gathered)[0]
    assert first.dtype == dtype
    for value in two_replicas.experimental_local_results(gathered):
        np.testing.assert_array_equal(value, [1.0, 2.0])
    for value in two_replicas.experimental_local_results(total):
        np.testing.assert_array_equal(value, [3.0])
    for value in two_replicas.experimental_local_results(mean):
        np.testing.assert_array_equal(value, [1.5])


def test_every_replica_puts_each_vector_into_its_row(two_replicas: tf.distribute.Strategy) -> None:
    def body() -> tf.Tensor:
        rank = tf.cast(tf.distribute.get_replica_context().replica_id_in_sync_group, tf.float32)
        return distribute.every_replica(tf.stack([rank, 5.0 - rank, 1e30]))

    rows = tf.function(lambda: two_replicas.run(body))()
    for value in two_replicas.experimental_local_results(rows):
        np.testing.assert_array_equal(value, np.float32([[0.0, 5.0, 1e30], [1.0, 4.0, 1e30]]))
    np.testing.assert_array_equal(distribute.every_replica(tf.constant([3.0, 4.0])), [[3.0, 4.0]])


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_gradient_of_a_gathered_loss(dtype: str, two_replicas: tf.distribute.Strategy) -> None:
    """d/dx of (x_0 * x_1) is the other replica's value, when each takes its share of the loss."""

    def body() -> tf.Tensor:
        rank = tf.cast(tf.distribute.get_replica_context().replica_id_in_sync_group, dtype)
        x = tf.reshape(rank + 2.0, [1])
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_prod(distribute.all_gather(x)) / distribute.num_replicas()
        return tape.gradient(loss, x)

    values = two_replicas.experimental_local_results(tf.function(lambda: two_replicas.run(body))())
    np.testing.assert_allclose([v.numpy()[0] for v in values], [3.0, 2.0])
