"""Methods give the same update eagerly, in a graph, on two replicas, and in half precision.

On two replicas that is proof only if a loss of the replica's own images would be noticed: gathering
is taken out for the methods that compare images with each other, and the update has to differ.
"""

from __future__ import annotations

import functools

import numpy as np
import pytest
import tensorflow as tf

from burn_tf import distribute
from burn_tf.methods import next_stage
from tests.conformance import cases, trained

# An index that ties decide.
DIAGNOSTICS = {"worst_variable"}
# Each image's loss is its own; batch norms are all that joins them.
IMAGE_BY_IMAGE = {"BYOL", "SimSiam", "Supervised"}
Update = tuple[dict[str, float], list[np.ndarray]]


@functools.cache
def reference(name: str) -> Update:
    return trained.step(cases.METHODS[name])


def assert_same_update(update: Update, expected: Update, tolerance: float) -> None:
    logs = update[0]
    assert logs.keys() == expected[0].keys()
    for key, value in expected[0].items():
        if key not in DIAGNOSTICS:
            assert logs[key] == pytest.approx(value, rel=tolerance, abs=tolerance), key
    assert_same_weights(update, expected, tolerance)


def assert_same_weights(update: Update, expected: Update, tolerance: float) -> None:
    changes = update[1]
    assert len(changes) == len(expected[1])
    largest = [float(np.abs(wanted).max(initial=0)) for wanted in expected[1]]
    # What a norm takes out again, such as a bias in front of it, moves by rounding alone.
    floor = 0.01 * max(largest)
    for change, wanted, own in zip(changes, expected[1], largest, strict=True):
        scale = max(own, floor)
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

    def test_a_local_loss_is_noticed(
        self, name: str, two_replicas: tf.distribute.Strategy, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def own_twice(tensor: tf.Tensor, axis: int = 0) -> tf.Tensor:
            return tf.concat([tensor] * distribute.num_replicas(), axis)

        monkeypatch.setattr(distribute, "all_gather", own_twice)
        # Eagerly: to trace a step for two replicas takes three times as long.
        local = trained.step(cases.METHODS[name], strategy=two_replicas, run_eagerly=True)
        if name in IMAGE_BY_IMAGE:
            assert_same_weights(local, reference(name), tolerance=1e-3)
        else:
            with pytest.raises(AssertionError, match="Not equal to tolerance"):
                assert_same_weights(local, reference(name), tolerance=1e-3)

    def test_bfloat16_is_close(self, name: str) -> None:
        expected, _ = reference(name)
        tf.keras.mixed_precision.set_global_policy("mixed_bfloat16")
        logs, changes = trained.step(cases.METHODS[name])
        # SimSiam's loss may lie near 0.
        assert logs["loss"] == pytest.approx(expected["loss"], rel=0.1, abs=0.02)
        # Signs flip, and SimSiam's last norm divides by deviations that rounding changes.
        assert 1 / 4 < logs["grad_norm"] / expected["grad_norm"] < 4
        assert {change.dtype for change in changes} <= {np.dtype("float32"), np.dtype("int64")}

    def test_float16_is_close(self, name: str) -> None:
        """Once the loss scale has come down to what the gradients allow; nothing moves before."""
        expected, _ = reference(name)
        tf.keras.mixed_precision.set_global_policy("mixed_float16")
        method = cases.build(cases.METHODS[name])
        method.compile(tf.keras.optimizers.SGD(0.1))
        before = [weight.numpy() for weight in method.trainable_weights]
        scale, skipped = 2.0**15, 1.0
        while skipped:
            for weight, value in zip(method.trainable_weights, before, strict=True):
                np.testing.assert_array_equal(weight, value)
            # Noise and puzzles are drawn by the number of the step.
            method.update_step.assign(0)
            logs = trained.fit_once(method, cases.METHODS[name])
            assert logs["loss_scale"] == scale > 1
            scale, skipped = scale / 2, logs["skipped_updates"]
        # Weights are those of the first step; the networks' errors are those of rounding.
        assert logs["loss"] == pytest.approx(expected["loss"], rel=0.02, abs=0.02)
        assert logs["grad_norm"] == pytest.approx(expected["grad_norm"], rel=0.1)
        assert {weight.dtype.name for weight in method.trainable_weights} == {"float32"}


@pytest.mark.slow
@pytest.mark.parametrize("name", cases.METHODS)
def test_learns_in_every_mode(name: str) -> None:
    """A float network, one whose activations are binary, and one that is binary throughout."""
    method = cases.build(cases.METHODS[name])
    for mode in ("none", "activations", "both"):
        kernels = [np.array(weight) for weight in method.backbone.get_weights()]
        method = next_stage(method, mode, total_steps=3)
        for old, new in zip(kernels, method.backbone.get_weights(), strict=True):
            np.testing.assert_array_equal(old, new)
        method.compile(tf.keras.optimizers.SGD(0.1))
        logs = trained.fit_once(method, cases.METHODS[name])
        assert logs["grad_norm_extractor"] > 0
        moved = zip(kernels, method.backbone.get_weights(), strict=True)
        assert any(np.any(old != new) for old, new in moved)
