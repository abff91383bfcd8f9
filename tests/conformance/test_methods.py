"""Methods give the same update eagerly, in a graph, on two replicas, and in half precision."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import tensorflow as tf

from tests.conformance import cases, trained

# An index that ties decide.
DIAGNOSTICS = {"worst_variable"}
Update = tuple[dict[str, float], list[np.ndarray]]


@functools.cache
def reference(name: str) -> Update:
    return trained.step(cases.METHODS[name])


def assert_same_update(update: Update, expected: Update, tolerance: float) -> None:
    logs, changes = update
    assert logs.keys() == expected[0].keys()
    for key, value in expected[0].items():
        if key not in DIAGNOSTICS:
            assert logs[key] == pytest.approx(value, rel=tolerance, abs=tolerance), key
    assert len(changes) == len(expected[1])
    for change, wanted in zip(changes, expected[1], strict=True):
        scale = max(float(np.abs(wanted).max(initial=0)), 1e-3)
        np.testing.assert_allclose(change, wanted, rtol=0, atol=tolerance * scale)


@pytest.mark.parametrize("name", cases.METHODS)
class TestMethod:
    def test_update_moves_most_weights(self, name: str) -> None:
        logs, changes = reference(name)
        assert logs["loss"] != 0
        assert logs["grad_norm"] > 0
        assert sum(bool(np.any(change)) for change in changes) > len(changes) / 2

    def test_graph_equals_eager(self, name: str) -> None:
        eager = trained.step(cases.METHODS[name], run_eagerly=True)
        assert_same_update(eager, reference(name), tolerance=1e-3)

    def test_two_replicas_equal_one(self, name: str, two_replicas: tf.distribute.Strategy) -> None:
        two = trained.step(cases.METHODS[name], strategy=two_replicas)
        assert_same_update(two, reference(name), tolerance=1e-3)

    def test_bfloat16_is_close(self, name: str) -> None:
        tf.keras.mixed_precision.set_global_policy("mixed_bfloat16")
        logs, changes = trained.step(cases.METHODS[name])
        assert logs["loss"] == pytest.approx(reference(name)[0]["loss"], rel=0.1)
        assert logs["grad_norm"] == pytest.approx(reference(name)[0]["grad_norm"], rel=0.5)
        assert all(change.dtype != np.float16 for change in changes)

    def test_float16_is_refused(self, name: str) -> None:
        tf.keras.mixed_precision.set_global_policy("mixed_float16")
        with pytest.raises(ValueError, match="mixed_bfloat16"):
            trained.step(cases.METHODS[name])
