"""Two replicas with half of the batch each equal one with all of it: values, gradients, state."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tests.conformance import cases
from tests.conformance.measuring import assert_same, measure_on, reference

MEASURED = {**cases.LAYERS, **cases.LOSSES, **cases.BUILDERS}


@pytest.mark.parametrize("name", cases.deep_ones_slow(MEASURED))
def test_two_replicas_equal_one(name: str, two_replicas: tf.distribute.Strategy) -> None:
    case = MEASURED[name]
    arrays, one = reference(case)
    with two_replicas.scope():
        copies = cases.build(case)
    two = measure_on(two_replicas, case, copies, arrays)
    assert_same(two, one, tolerance=1e-4 if name in cases.BUILDERS else 1e-5)


@pytest.mark.parametrize("name", cases.SCHEDULES)
def test_schedule_on_replicas(name: str, two_replicas: tf.distribute.Strategy) -> None:
    schedule = cases.build(cases.SCHEDULES[name])
    values = two_replicas.run(tf.function(schedule.__call__), args=(tf.constant(5, tf.int64),))
    for value in two_replicas.experimental_local_results(values):
        np.testing.assert_allclose(value, schedule(5), rtol=1e-6)


@pytest.mark.parametrize("name", cases.OPTIMIZERS)
def test_optimizer_on_replicas(name: str, two_replicas: tf.distribute.Strategy) -> None:
    """Replicas with a quarter and three quarters of the gradient make the step of the whole."""
    start, slope = cases.numbers("start", 3, 4), cases.numbers("slope", 3, 4)
    alone, optimizer = tf.Variable(start), cases.build(cases.OPTIMIZERS[name])
    for _ in range(3):
        optimizer.apply_gradients([(tf.constant(slope), alone)])
    with two_replicas.scope():
        variable, optimizer = tf.Variable(start), cases.build(cases.OPTIMIZERS[name])
        optimizer.build([variable])

    @tf.function
    def update() -> None:
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        part = 0.25 + 0.5 * tf.cast(replica, tf.float32)
        optimizer.apply_gradients([(part * slope, variable)])

    for _ in range(3):
        two_replicas.run(update)
    for copy in two_replicas.experimental_local_results(variable):
        np.testing.assert_allclose(copy, alone, rtol=1e-5, atol=1e-6)
