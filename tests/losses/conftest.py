"""Independent float64 gradients, and a loss run on two replicas."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import tensorflow as tf

from burn_tf import distribute

Array = np.ndarray
Function = Callable[..., Array]


@pytest.fixture
def central_difference() -> Callable[..., list[Array]]:
    """Gradient of the sum of a NumPy function by central differences, for every argument."""

    def gradient(function: Function, *arguments: Array, width: float = 1e-5) -> list[Array]:
        found = []
        for place, argument in enumerate(arguments):
            slope = np.zeros_like(argument)
            for index in np.ndindex(argument.shape):
                shifted = [a.copy() for a in arguments]
                shifted[place][index] = argument[index] + width
                above = np.sum(function(*shifted))
                shifted[place][index] = argument[index] - width
                slope[index] = (above - np.sum(function(*shifted))) / (2 * width)
            found.append(slope)
        return found

    return gradient


@pytest.fixture
def tape_gradient() -> Callable[..., list[Array | None]]:
    """Gradient of the sum of a TensorFlow function, for every argument, or None."""

    def gradient(function: Callable[..., tf.Tensor], *arguments: Array) -> list[Array | None]:
        tensors = [tf.constant(argument) for argument in arguments]
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            total = tf.reduce_sum(function(*tensors))
        return [None if g is None else g.numpy() for g in tape.gradient(total, tensors)]

    return gradient


@pytest.fixture
def on_two_replicas(
    two_replicas: tf.distribute.Strategy,
) -> Callable[..., tuple[list[Array], Array]]:
    """Values on each replica and the joint gradient of a loss of the last argument's halves."""

    def run(
        function: Callable[..., tf.Tensor], arguments: Sequence[Array], axes: Sequence[int]
    ) -> tuple[list[Array], Array]:
        def halves(context: tf.distribute.ValueContext) -> list[tf.Tensor]:
            replica = context.replica_id_in_sync_group
            return [tf.split(a, 2, axis=x)[replica] for a, x in zip(arguments, axes, strict=True)]

        shares = two_replicas.experimental_distribute_values_from_function(halves)

        @tf.function
        def step(tensors: list[tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
            with tf.GradientTape() as tape:
                tape.watch(tensors)
                value = function(*tensors)
            return value, tape.gradient(value, tensors[-1])

        values, slopes = two_replicas.run(step, args=(shares,))
        local = two_replicas.experimental_local_results
        joint = np.concatenate([s.numpy() for s in local(slopes)], axis=axes[-1])
        return [value.numpy() for value in local(values)], joint

    return run


@pytest.fixture
def check_global_batch(
    on_two_replicas: Callable[..., tuple[list[Array], Array]],
    tape_gradient: Callable[..., list[Array | None]],
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[Callable[..., tf.Tensor], Array, int], None]:
    """Holds a loss on two replicas to the same loss on one, and shows that this is no accident.

    The loss is one value per global batch, or one per image; without gathering it must be another.
    """

    def share(function: Callable[..., tf.Tensor]) -> Callable[..., tf.Tensor]:
        return lambda tensor: tf.reduce_mean(function(tensor)) / distribute.num_replicas()

    def check(function: Callable[..., tf.Tensor], array: Array, axis: int) -> None:
        whole = np.mean(function(array))
        (slope,) = tape_gradient(lambda x: tf.reduce_mean(function(x)), array)
        shares, joint = on_two_replicas(share(function), [array], [axis])
        np.testing.assert_allclose(sum(shares), whole, rtol=1e-9)
        np.testing.assert_allclose(joint, slope, rtol=1e-7, atol=1e-9 * np.abs(slope).max())
        if np.ndim(function(array)) == 0:
            np.testing.assert_allclose(shares[0], shares[1], rtol=1e-12)
        monkeypatch.setattr(distribute, "all_gather", lambda tensor, axis=0: tensor)
        shares, joint = on_two_replicas(share(function), [array], [axis])
        assert abs(sum(shares) - whole) > 1e-3 * abs(whole)
        assert np.abs(joint - slope).max() > 1e-2 * np.abs(slope).max()

    return check
