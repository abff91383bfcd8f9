"""The time that updates wait for batches: most of it with a slow source, none with a fast one."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from burn_tf.layers import mlp_head
from burn_tf.methods import BarlowTwins
from burn_tf.training import MetricsLog
from burn_tf.training.waiting import log_waiting
from burn_tf.watching.run_files import WAIT_FIGURE, last_lines, mean_share_of_waiting

UPDATES = 9
PAUSE = 0.04


def barlow_twins(**options: Any) -> BarlowTwins:
    """On four weights: an update takes a millisecond or two."""
    images = tf.keras.Input((4, 4, 3))
    features = tf.keras.layers.Dense(4)(tf.keras.layers.GlobalAveragePooling2D()(images))
    method = BarlowTwins(tf.keras.Model(images, features), mlp_head(4, [], 4))
    method.compile("sgd", **options)
    log_waiting(method)
    return method


def views(updated: threading.Semaphore | None = None) -> tf.data.Dataset:
    """Batches at once; or each a pause after the update before it, so that all are waited for."""
    batch = tf.random.stateless_uniform([8, 4, 4, 3], [1, 2])
    if updated is None:
        return tf.data.Dataset.from_tensors((batch, batch)).repeat()

    def batches() -> Iterator[tuple[tf.Tensor, tf.Tensor]]:
        while True:
            updated.acquire(timeout=60.0)
            time.sleep(PAUSE)
            yield batch, batch

    spec = (tf.TensorSpec([8, 4, 4, 3]), tf.TensorSpec([8, 4, 4, 3]))
    return tf.data.Dataset.from_generator(batches, output_signature=spec)


class Turn(tf.keras.callbacks.Callback):
    """Says when an update is done, and the next batch may be begun."""

    def __init__(self) -> None:
        super().__init__()
        self.updated = threading.Semaphore(1)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.updated.release()

    def on_train_end(self, logs: Any = None) -> None:
        # Batches that are begun ahead and never asked for.
        self.updated.release(100)


class Work(tf.keras.callbacks.Callback):
    """What else a step does beside waiting."""

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        time.sleep(PAUSE)


def logged(
    method: BarlowTwins, data: Any, folder: Path, *callbacks: tf.keras.callbacks.Callback
) -> tuple[list[float], float]:
    """Each wait but the first, and their share of the time."""
    log = MetricsLog(folder / "metrics.jsonl", "stage1")
    method.fit(data, steps_per_epoch=UPDATES, verbose=0, callbacks=[log, *callbacks])
    lines = last_lines(folder)
    assert [line["step"] for line in lines] == list(range(1, UPDATES + 1))
    return [line[WAIT_FIGURE] for line in lines[1:]], mean_share_of_waiting(lines)


@pytest.mark.parametrize("eager", [False, True])
def test_a_slow_source(tmp_path: Path, eager: bool) -> None:
    turn = Turn()
    method = barlow_twins(run_eagerly=eager)
    waits, share = logged(method, views(turn.updated), tmp_path, turn)
    assert statistics.median(waits) > PAUSE / 2
    # Beside the pauses there are the updates, which take long without a graph and on busy machines.
    assert (0.02 if eager else 0.1) < share <= 1.01


def test_a_fast_source(tmp_path: Path) -> None:
    waits, share = logged(barlow_twins(), views(), tmp_path, Work())
    assert 0 <= statistics.median(waits) < PAUSE / 4
    assert 0 <= share < 0.2


def test_replicas_wait_together(tmp_path: Path, two_replicas: tf.distribute.Strategy) -> None:
    with two_replicas.scope():
        method = barlow_twins()
    turn = Turn()
    data = two_replicas.experimental_distribute_dataset(views(turn.updated))
    _, share = logged(method, data, tmp_path, turn)
    assert 0.1 < share <= 1.01
    assert method.train_function.experimental_get_tracing_count() == 1


def test_nothing_else_is_changed(tmp_path: Path) -> None:
    """Weights and figures are those without clocks; one trace; compiling ends it."""
    clocked = barlow_twins()
    clocked.fit(views(), steps_per_epoch=3, verbose=0)
    assert clocked.train_function.experimental_get_tracing_count() == 1
    plain = barlow_twins()
    plain.set_weights(barlow_twins().get_weights())
    plain.compile("sgd")
    history = plain.fit(views(), steps_per_epoch=1, verbose=0).history
    assert WAIT_FIGURE not in history
    again = barlow_twins()
    again.set_weights(plain.get_weights())
    history = again.fit(views(), steps_per_epoch=1, verbose=0).history
    assert history.pop(WAIT_FIGURE)[0] >= 0
    expected = plain.fit(views(), steps_per_epoch=1, verbose=0).history
    assert history == expected
    for value, wanted in zip(again.get_weights(), plain.get_weights(), strict=True):
        assert value.tobytes() == wanted.tobytes()
