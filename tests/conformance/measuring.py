"""Outputs, gradients and state of a case: eagerly, in a graph, or on two replicas."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from burn_tf.distribute import num_replicas
from tests.conformance.cases import LayerCase, LossCase, build, numbers

Measured = dict[str, np.ndarray]


def run_layer(thing: Any, inputs: tf.Tensor, training: bool) -> tf.Tensor:
    """A layer's output; quantizers take no `training`."""
    takes = "training" in inspect.signature(thing.call).parameters
    return thing(inputs, training=training) if takes else thing(inputs)


def arrays_of(case: LayerCase | LossCase, thing: Any) -> list[np.ndarray]:
    """The global inputs; a layer also gets one random weight for each number it gives."""
    if isinstance(case, LossCase):
        return [numbers(f"y {index}", *shape) for index, shape in enumerate(case.shapes)]
    inputs = numbers("inputs", *case.shape)
    return [inputs, numbers("weights", *run_layer(thing, inputs, training=False).shape)]


def batch_axes_of(case: LayerCase | LossCase) -> Sequence[int | None]:
    """The batch axis of each array."""
    return case.batch_axes if isinstance(case, LossCase) else (case.batch_axis, case.batch_axis)


def _share(
    case: LayerCase | LossCase, thing: Any, tensors: Sequence[tf.Tensor]
) -> tuple[tf.Tensor, tf.Tensor]:
    """Output, and this replica's share of the scalar whose gradients are compared."""
    if isinstance(case, LossCase):
        outputs = thing.call(*tensors)
        return outputs, tf.reduce_mean(outputs) / num_replicas()
    outputs = run_layer(thing, tensors[0], training=True)
    scalar = tf.reduce_sum(tf.cast(outputs, tf.float32) * tensors[1])
    return outputs, scalar / (num_replicas() if case.batch_axis is None else 1)


def _step(case: LayerCase | LossCase, thing: Any) -> Callable[..., dict[str, Any]]:
    variables = list(getattr(thing, "trainable_variables", []))

    def step(tensors: Sequence[tf.Tensor]) -> dict[str, Any]:
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            outputs, share = _share(case, thing, tensors)
        zero = tf.UnconnectedGradients.ZERO
        slopes = tape.gradient(share, [list(tensors), variables], unconnected_gradients=zero)
        return {"outputs": outputs, "share": share, "inputs": slopes[0], "variables": slopes[1]}

    return step


def _named(results: dict[str, Any], thing: Any) -> Measured:
    measured = {name: results[name] for name in ("outputs", "share")}
    measured |= {f"slope of input {i}": slope for i, slope in enumerate(results["inputs"])}
    measured |= {f"slope of variable {i}": s for i, s in enumerate(results["variables"])}
    states = getattr(thing, "non_trainable_variables", [])
    measured |= {f"state {i} after": state for i, state in enumerate(states)}
    return {name: np.array(value) for name, value in measured.items()}


def measure(
    case: LayerCase | LossCase,
    thing: Any,
    arrays: Sequence[np.ndarray],
    wrap: Callable[..., Any] = lambda function: function,
) -> Measured:
    """Everything that one training pass gives, on one replica."""
    tensors = [tf.constant(array) for array in arrays]
    return _named(wrap(_step(case, thing))(tensors), thing)


@functools.cache
def reference(case: LayerCase | LossCase) -> tuple[list[np.ndarray], Measured]:
    """The inputs of a case, and what it gives from them eagerly on one replica."""
    thing = build(case)
    arrays = arrays_of(case, thing)
    return arrays, measure(case, thing, arrays)


def measure_on(
    strategy: tf.distribute.Strategy,
    case: LayerCase | LossCase,
    thing: Any,
    arrays: Sequence[np.ndarray],
) -> Measured:
    """The same from two replicas with half of the batch each, joined or added up."""
    axes = batch_axes_of(case)

    def halves(context: Any) -> list[tf.Tensor]:
        replica = context.replica_id_in_sync_group
        return [
            tf.constant(array if axis is None else np.split(array, 2, axis)[replica])
            for array, axis in zip(arrays, axes, strict=True)
        ]

    shares = strategy.experimental_distribute_values_from_function(halves)
    local = strategy.experimental_local_results
    results = strategy.run(tf.function(_step(case, thing)), args=(shares,))

    def joined(value: Any, axis: int | None) -> np.ndarray:
        parts = [part.numpy() for part in local(value)]
        return sum(parts[1:], parts[0]) if axis is None else np.concatenate(parts, axis)

    outputs = [part.numpy() for part in local(results["outputs"])]
    whole = outputs[0].ndim == 0 or axes[0] is None
    for variable in getattr(thing, "variables", []):
        copies = [copy.numpy() for copy in local(variable)]
        np.testing.assert_array_equal(copies[0], copies[1], err_msg=variable.name)
    return _named(
        {
            "outputs": outputs[0] if whole else np.concatenate(outputs),
            "share": joined(results["share"], None),
            "inputs": [joined(s, a) for s, a in zip(results["inputs"], axes, strict=True)],
            "variables": [joined(slope, None) for slope in results["variables"]],
        },
        thing,
    )


def assert_same(measured: Measured, expected: Measured, tolerance: float) -> None:
    """Every array within `tolerance` of the expected one, relative to its largest entry.

    Inputs are of size 1, so that entries far below it are rounding: a bias in front of a batch norm
    has a gradient of 0.
    """
    assert measured.keys() == expected.keys()
    for name, value in expected.items():
        scale = max(float(np.abs(value).max(initial=0)), 1e-2)
        np.testing.assert_allclose(
            measured[name], value, rtol=0, atol=tolerance * scale, err_msg=name
        )
