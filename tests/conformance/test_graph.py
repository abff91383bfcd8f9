"""tf.function gives what eager execution gives: outputs, gradients and state."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tests.conformance import cases
from tests.conformance.measuring import assert_same, measure, reference

MEASURED = {**cases.LAYERS, **cases.LOSSES, **cases.BUILDERS}


@pytest.mark.parametrize("name", cases.deep_ones_slow(MEASURED))
def test_graph_equals_eager(name: str) -> None:
    case = MEASURED[name]
    arrays, eager = reference(case)
    graph = measure(case, cases.build(case), arrays, tf.function)
    assert_same(graph, eager, tolerance=1e-4 if name in cases.BUILDERS else 1e-5)
    slopes = [value for key, value in eager.items() if key.startswith("slope of input")]
    assert any(np.any(slope) for slope in slopes), "no gradient reaches the inputs"


@pytest.mark.parametrize("name", cases.SCHEDULES)
def test_schedule_in_a_graph(name: str) -> None:
    schedule = cases.build(cases.SCHEDULES[name])
    traced = tf.function(schedule.__call__)
    for step in range(11):
        np.testing.assert_allclose(traced(tf.constant(step, tf.int64)), schedule(step), rtol=1e-6)
    assert traced.experimental_get_tracing_count() == 1


@pytest.mark.parametrize("name", cases.OPTIMIZERS)
def test_optimizer_in_a_graph(name: str) -> None:
    results = []
    for wrap in (lambda function: function, tf.function):
        optimizer = cases.build(cases.OPTIMIZERS[name])
        variables = [tf.Variable(cases.numbers("v", 3, 4)), tf.Variable(cases.numbers("b", 4))]
        optimizer.build(variables)
        update = wrap(lambda o=optimizer, v=variables: o.apply_gradients([(x * x, x) for x in v]))
        for _ in range(3):
            update()
        results.append([variable.numpy() for variable in variables])
    for eager, graph in zip(*results, strict=True):
        np.testing.assert_allclose(graph, eager, rtol=1e-5)
        assert np.abs(graph).max() > 0
