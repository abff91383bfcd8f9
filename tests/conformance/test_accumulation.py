"""Micro-batches: k of b images move a method as one batch of k b, where its losses allow that.

Batch norms are frozen, as they see one micro-batch at a time. The flag `looks_across_the_batch` is
held too: methods that have it must differ, all others must not.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from burn_tf.methods import EmbeddingRegularizer
from tests.conformance import cases, trained
from tests.conformance.test_methods import Update, assert_same_update, assert_same_weights

# Terms whose noise is drawn image by image, and one that compares images with each other.
ALONE = EmbeddingRegularizer(centroid=0.1, brownian=0.1)
ACROSS = EmbeddingRegularizer(singular_value=1.0)


def frozen_norms(case: cases.MethodCase) -> Any:
    """The method of a case with batch norms that neither learn nor follow."""
    method = cases.build(case)
    for layer in method.submodules:
        if isinstance(layer, tf.keras.layers.BatchNormalization):
            layer.trainable = False
    return method


def updates(
    case: cases.MethodCase,
    count: int,
    strategy: tf.distribute.Strategy | None = None,
    regularizer: EmbeddingRegularizer | None = None,
    run_eagerly: bool = False,
) -> Update:
    """Logs of the last, and change of every weight after two updates with momentum."""
    with (strategy or tf.distribute.get_strategy()).scope():
        method = frozen_norms(case)
        method.regularizer = regularizer or method.regularizer
        optimizer = tf.keras.optimizers.SGD(0.05, momentum=0.9)
        method.compile(optimizer, accumulate=count, run_eagerly=run_eagerly)
    before = method.get_weights()
    data = trained.views_of(case)
    history = method.fit(data.concatenate(data), verbose=0).history
    counts = (method.update_step.numpy(), method.optimizer.iterations.numpy())
    assert counts == (2, 2)
    logs = {name: float(values[0]) for name, values in history.items()}
    return logs, [new - old for new, old in zip(method.get_weights(), before, strict=True)]


@pytest.mark.parametrize("name", cases.METHODS)
def test_two_micro_batches_and_one_batch(name: str) -> None:
    case = cases.METHODS[name]
    method = cases.build(case)
    regularizer = ACROSS if method.regularizer.looks_across_the_batch else None
    make = functools.partial(updates, case, regularizer=regularizer, run_eagerly=True)
    parts, whole = make(2), make(1)
    if method.looks_across_the_batch:
        with pytest.raises(AssertionError, match="Not equal to tolerance"):
            assert_same_weights(parts, whole, tolerance=1e-3)
    else:
        assert_same_update(parts, whole, tolerance=1e-3)


@pytest.mark.parametrize("name", ["BURN", "MSBReg"])
def test_noise_is_that_of_the_whole_batch(name: str) -> None:
    make = functools.partial(updates, cases.METHODS[name], regularizer=ALONE)
    parts = make(4)
    assert parts[0]["brownian"] != 0
    assert_same_update(parts, make(1, run_eagerly=True), tolerance=1e-3)


@pytest.mark.parametrize("name", ["InfoMin", pytest.param("SwAV", marks=pytest.mark.slow)])
def test_two_replicas_share_each_micro_batch(
    name: str, two_replicas: tf.distribute.Strategy
) -> None:
    """Queues, losses across a micro-batch, and averages; images and numbers drawn are the same."""
    two = updates(cases.METHODS[name], 2, two_replicas)
    assert_same_update(two, updates(cases.METHODS[name], 2), tolerance=1e-3)


def test_batch_norms_see_one_micro_batch_after_the_other() -> None:
    case = cases.METHODS["SimSiam"]
    method = cases.build(case)
    method.compile(tf.keras.optimizers.SGD(0.0), accumulate=2)
    norm = method.backbone.get_layer("norm_1")
    stem = method.backbone.get_layer("stem")
    method.fit(trained.views_of(case), verbose=0)
    expected = np.zeros(norm.moving_mean.shape)
    images = [cases.numbers(f"view {k}", *trained.IMAGES.shape) for k in range(2)]
    for rows in (slice(0, None, 2), slice(1, None, 2)):
        for view in images:
            mean = stem(view[rows]).numpy().mean(axis=(0, 1, 2))
            expected += (mean - expected) * (1 - norm.momentum)
    np.testing.assert_allclose(norm.moving_mean, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "count", "message"),
    [
        ("BYOL", 3, r"`batch_size` must be a multiple of `accumulate` = 3 .*Received: 8"),
        ("BYOL", 8, r"leaves 1 images in a micro-batch.* need 2"),
        ("WMSE", 4, r"leaves 2 images in a micro-batch.* WMSE and batch norms need 4"),
        ("BYOL", 0, "`accumulate` must be a whole number"),
    ],
)
def test_refusals(name: str, count: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        updates(cases.METHODS[name], count)


def test_compiled_config_remembers() -> None:
    method = cases.build(cases.METHODS["BYOL"])
    method.compile(tf.keras.optimizers.SGD(0.1), accumulate=4)
    again = cases.build(cases.METHODS["BYOL"])
    again.compile_from_config(method.get_compile_config())
    assert again.accumulate == 4
