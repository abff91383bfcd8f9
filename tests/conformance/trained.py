"""One update of a method: what it logs and how far it moves each weight."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from tests.conformance import cases

BATCH = 8
IMAGES = cases.numbers("images", BATCH, cases.SIZE, cases.SIZE, 3)


def views_of(case: cases.MethodCase) -> tf.data.Dataset:
    """One batch of K views, and of labels where the method learns from them."""
    views = [cases.numbers(f"view {k}", *IMAGES.shape) for k in range(case.views)]
    if case.labels:
        views.append(np.arange(BATCH, dtype=np.int64) % case.labels)
    return tf.data.Dataset.from_tensor_slices(tuple(views)).batch(BATCH, drop_remainder=True)


def fit_once(method: Any, case: cases.MethodCase) -> dict[str, float]:
    """The logs of one update; a step that is not finite fails here."""
    history = method.fit(views_of(case), epochs=1, verbose=0).history
    logs = {name: float(values[0]) for name, values in history.items()}
    assert all(np.isfinite(value) for value in logs.values()), logs
    return logs


def after_one_step(case: cases.MethodCase) -> Any:
    """A method that has made one update with an optimizer of ours."""
    method = cases.build(case)
    method.compile(cases.build(cases.OPTIMIZERS["FusedAdam"]))
    fit_once(method, case)
    return method


def step(
    case: cases.MethodCase,
    strategy: tf.distribute.Strategy | None = None,
    run_eagerly: bool = False,
) -> tuple[dict[str, float], list[np.ndarray]]:
    """Logs, and the change of every weight, which by plain gradient descent is its gradient."""
    with (strategy or tf.distribute.get_strategy()).scope():
        method = cases.build(case)
        method.compile(tf.keras.optimizers.SGD(0.1), run_eagerly=run_eagerly)
    before = [np.array(weight) for weight in method.get_weights()]
    logs = fit_once(method, case)
    changes = [new - old for new, old in zip(method.get_weights(), before, strict=True)]
    return logs, changes
