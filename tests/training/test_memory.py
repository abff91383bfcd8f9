"""Predictions of small steps, refusals and their advice."""

from __future__ import annotations

import sys
from typing import Any

import pytest
import tensorflow as tf

from burn_tf.layers import mlp_head
from burn_tf.methods import BarlowTwins
from burn_tf.training import memory
from burn_tf.training.memory import StepMemory, TooLittleMemory, check_memory, predict_memory

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
GB = 10**9


def barlow_twins() -> BarlowTwins:
    """On a convolution to 16 x 16 x 32 values."""
    images = tf.keras.Input((16, 16, 3))
    maps = tf.keras.layers.Conv2D(32, 3, padding="same", activation="relu")(images)
    backbone = tf.keras.Model(images, tf.keras.layers.GlobalAveragePooling2D()(maps))
    method = BarlowTwins(backbone, mlp_head(32, [8], 8))
    method.compile("sgd")
    return method


MAP_BYTES = 16 * 16 * 32 * 4


def views(batch: int) -> tf.data.Dataset:
    images = tf.zeros([batch, 16, 16, 3])
    return tf.data.Dataset.from_tensors((images, images)).repeat(2)


@pytest.fixture(scope="module")
def predicted() -> dict[int, StepMemory]:
    found = {batch: predict_memory(barlow_twins(), views(batch)) for batch in (8, 256)}
    return {batch: value for batch, value in found.items() if value is not None}


def test_tensors_grow_with_the_batch_and_nothing_else_does(
    predicted: dict[int, StepMemory],
) -> None:
    small, large = predicted[8], predicted[256]
    assert small.graph == pytest.approx(large.graph, rel=0.15)
    # Gradients and sums over the batch do not grow.
    assert 16 < large.tensors / small.tensors <= 32
    # Both views' maps are kept for the gradient, which has their size.
    assert 2 * 256 * MAP_BYTES < large.tensors < 6 * 256 * MAP_BYTES
    assert large.peak == large.resident + large.graph + large.tensors
    assert large.resident > 10**8


def test_fit_traces_nothing_more() -> None:
    method, data = barlow_twins(), views(8)
    first = predict_memory(method, data)
    assert first is not None and first.graph == first.operations * memory.OPERATION_BYTES
    again = predict_memory(method, data, ran=first.operations - 10)
    assert again is not None and again.graph == 10 * memory.OPERATION_BYTES
    function = method.train_function
    method.fit(data, verbose=0)
    assert method.train_function is function
    assert function.experimental_get_tracing_count() == 1


def test_under_a_strategy(two_replicas: tf.distribute.Strategy) -> None:
    with two_replicas.scope():
        method = barlow_twins()
    data = two_replicas.experimental_distribute_dataset(views(256))
    alone = predict_memory(barlow_twins(), views(128))
    both = predict_memory(method, data)
    assert alone is not None and both is not None
    # Both replicas are in this process, with two views of half of the batch each.
    assert 4 * 128 * MAP_BYTES < both.tensors < 2.2 * alone.tensors
    method.fit(data, epochs=1, steps_per_epoch=2, verbose=0)
    assert method.train_function.experimental_get_tracing_count() == 1


def check(
    monkeypatch: pytest.MonkeyPatch, step: StepMemory | None, free: int | None, accumulate: int = 1
) -> Any:
    monkeypatch.setattr(memory, "predict_memory", lambda method, views, ran: step)
    monkeypatch.setattr(memory, "free_bytes", lambda: free)
    method = barlow_twins()
    method.accumulate = accumulate
    return check_memory(method, None, batch_size=256)


def test_refusal_says_what_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    step = StepMemory(resident=GB, graph=GB // 2, tensors=8 * GB)
    assert check(monkeypatch, step, 9 * GB) is step
    # 8.5 GB are missing and 2.5 free: (2.5 - 0.5) / 8 of the batch.
    with pytest.raises(TooLittleMemory) as raised:
        check(monkeypatch, step, 5 * GB // 2)
    line = str(raised.value)
    assert "`batch_size` 256 needs about 8.5 GB more and 2.5 GB are free" in line
    assert "set batch_size to 64 or less, --accumulate to 4 or more" in line
    assert "--ignore_memory" in line and "\n" not in line
    assert line.endswith("Received: a step with a predicted peak of 9.5 GB")
    with pytest.raises(TooLittleMemory, match="batch_size to 64 or less, --accumulate to 8 or"):
        check(monkeypatch, step, 5 * GB // 2, accumulate=2)
    with pytest.raises(TooLittleMemory) as raised:
        check(monkeypatch, step, GB // 2)
    assert "batch_size to" not in str(raised.value) and "views.image_size" in str(raised.value)


def test_nothing_is_said_where_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    assert check(monkeypatch, None, 1) is None
    step = StepMemory(GB, GB, GB)
    assert check(monkeypatch, step, None) is step
    monkeypatch.undo()
    monkeypatch.setattr(memory, "_has_accelerator", lambda: True)
    assert predict_memory(barlow_twins(), views(8)) is None
