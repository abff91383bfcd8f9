"""Sharing batches and values: one process alone, and two replicas in it."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.data import load_source, views_dataset
from burn_tf.training.workers import LostWorker, Workers

SIZES = {"num_views": 2, "batch_size": 4, "image_size": 8, "epochs": 2, "seed": 5}


def views(shards: int, shard: int) -> tf.data.Dataset:
    source = load_source("synthetic:12")
    return views_dataset(source, "digits", shards=shards, shard=shard, **SIZES)


def test_replicas_share_each_batch(two_replicas: tf.distribute.Strategy) -> None:
    workers = Workers(two_replicas)
    whole = list(views(1, 0))
    shared = iter(workers.batches(views, 4))
    for first, second in whole:
        left, right = next(shared)
        for expected, given in ((first, left), (second, right)):
            halves = two_replicas.experimental_local_results(given)
            assert [half.shape[0] for half in halves] == [2, 2]
            np.testing.assert_array_equal(np.concatenate(halves), expected)


def test_one_process_has_its_dataset_as_it_is() -> None:
    made: list[tuple[int, int]] = []
    dataset = tf.data.Dataset.range(3)

    def make(shards: int, shard: int) -> tf.data.Dataset:
        made.append((shards, shard))
        return dataset

    assert Workers().batches(make, 4) is dataset
    assert made == [(1, 0)]


def test_batch_that_cannot_be_shared(two_replicas: tf.distribute.Strategy) -> None:
    Workers().check_batch(7)
    Workers(two_replicas).check_batch(8)
    with pytest.raises(UserError, match=r"multiple of the 2 replicas.*6 or 8. Received: 7"):
        Workers(two_replicas).check_batch(7)


def test_bytes_pass_through_the_first_replica(two_replicas: tf.distribute.Strategy) -> None:
    """The collective that workers share by, here over replicas of which one has the values."""
    for data in (b"", b"x", b"abcd", bytes(range(256)) * 3 + b"end"):
        assert Workers(two_replicas)._share(data) == data


def test_the_chief_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three processes of which this is the second: what it gets is what the chief sent."""
    sent: list[bytes] = []

    def share(self: Workers, data: bytes) -> bytes:
        sent.append(data)
        return sent[0]

    chief, other = Workers(count=3), Workers(number=1, count=3)
    monkeypatch.setattr(Workers, "_share", share)
    assert chief.from_chief(lambda: {"step": 7, "name": "é"}) == {"step": 7, "name": "é"}
    assert other.from_chief(lambda: pytest.fail("the chief alone acts")) == {"step": 7, "name": "é"}
    with pytest.raises(UserError, match=r"the same images.*Received: .*worker 1"):
        other.check_same("images", {"step": 8, "name": "é"})
    sent.clear()

    def refuse() -> None:
        raise UserError("the folder is taken")

    for worker in (chief, other):
        with pytest.raises(UserError, match="the folder is taken"):
            worker.from_chief(refuse)


def test_weights_of_the_chief(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[bytes] = []

    def share(self: Workers, data: bytes) -> bytes:
        if self.is_chief:
            sent.append(data)
            return data
        assert data == b""
        return sent.pop(0)

    chief, other = Workers(count=2), Workers(number=1, count=2)
    chief.replicas = other.replicas = 2
    monkeypatch.setattr(Workers, "_share", share)
    values = [np.array([[-0.0, np.nan], [1e-40, 3.0]], np.float32), np.array(2**40 + 1)]
    given = [tf.Variable(value) for value in values]
    taken = [tf.Variable(tf.zeros_like(value)) for value in values]
    chief.take_weights(given)
    other.take_weights(taken)
    for variable, value in zip(taken, values, strict=True):
        assert variable.numpy().tobytes() == value.tobytes()


def test_what_is_saved_lies_outside_the_strategy(two_replicas: tf.distribute.Strategy) -> None:
    with two_replicas.scope():
        network = tf.keras.Sequential(
            [tf.keras.Input([3]), tf.keras.layers.Dense(2), tf.keras.layers.BatchNormalization()]
        )
        network.set_weights([np.full(w.shape, i + 1.5) for i, w in enumerate(network.weights)])
    copy = Workers(two_replicas).own_copy(network)
    assert not any(isinstance(w, tf.distribute.DistributedValues) for w in copy.weights)
    assert [w.numpy().ravel()[0] for w in copy.weights] == [1.5, 2.5, 3.5, 4.5, 5.5, 6.5]
    assert Workers().own_copy(network) is network


LOST = """Graph execution error:

Detected at node CollectiveReduceV2 defined at (most recent call last):
Collective ops is aborted by: Error reported from /job:worker/task:1: these are unhealthy:
/job:worker/replica:0/task:1
The error could be from a previous operation.
"""


def test_lost_worker_is_one_line() -> None:
    error = tf.errors.UnavailableError(None, None, LOST)
    with pytest.raises(LostWorker) as caught, Workers(count=2).losses_named():
        raise error
    line = str(caught.value)
    assert "start all workers again" in line and "\n" not in line
    assert line.endswith("these are unhealthy: /job:worker/replica:0/task:1")
    with pytest.raises(tf.errors.UnavailableError), Workers().losses_named():
        raise error
