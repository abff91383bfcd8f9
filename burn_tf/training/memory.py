"""The peak memory of a training step, predicted before it runs."""

from __future__ import annotations

import dataclasses
from typing import Any

import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.methods import SSLMethod
from burn_tf.training.step_graph import graph_peak, graph_size, tensor_bytes
from burn_tf.watching.machine_memory import free_bytes, give_back, resident_bytes

# What TensorFlow keeps for each operation that was traced, once it runs: copies of the graph made
# by its optimizer, kernels, code that XLA compiled. See benchmarks/memory.py.
OPERATION_BYTES = 24_000
# Memory taken over memory used: fragments of the heap, scratch space of convolutions.
TENSOR_FACTOR = 1.15
# Batches that wait in the input pipeline, beside the one that is learnt from.
WAITING_BATCHES = 3
_GB = 1e9


class TooLittleMemory(UserError):
    """The machine has less free memory than a training step will take."""


@dataclasses.dataclass(frozen=True)
class StepMemory:
    """Resident memory in bytes that training takes at its worst moment.

    Attributes:
        resident: held already: libraries, weights, optimizer, traced graph.
        graph: what running the graph adds, whatever the batch.
        tensors: activations, gradients and batches, which grow with the batch.
        operations: size of the graph.
    """

    resident: int
    graph: int
    tensors: int
    operations: int = 0

    @property
    def peak(self) -> int:
        """All together."""
        return self.resident + self.graph + self.tensors

    @property
    def missing(self) -> int:
        """What is not held yet."""
        return self.graph + self.tensors


def predict_memory(method: SSLMethod, views: Any, *, ran: int = 0) -> StepMemory | None:
    """The peak resident memory of this process when the method learns from these batches.

    The step is traced, which `fit` then need not do again, and its graph played through
    (`burn_tf.training.liveness`): what lives at the same time counts, by the shapes of this batch.

    Args:
        method: compiled.
        views: dataset of batches of known shape, or what a strategy made of one.
        ran: operations of the largest graph that this process has run: what it took for them is
            still there, and serves again (code that XLA compiled, pieces of the heap).

    Returns:
        The prediction; None where tensors lie in memory of their own (GPU, TPU), the system does
        not say what is held, or the method runs without a graph.
    """
    if resident_bytes() is None or _has_accelerator() or method.run_eagerly:
        return None
    graph = step_graph(method, views)
    operations = graph_size(graph)
    batch = sum(tensor_bytes(spec) for spec in _specs(views))
    tensors = TENSOR_FACTOR * graph_peak(graph) + WAITING_BATCHES * batch
    # What an earlier stage has left in the heap is used again.
    give_back()
    added = OPERATION_BYTES * max(operations - ran, 0)
    return StepMemory(resident_bytes() or 0, added, round(tensors), operations)


def step_graph(method: SSLMethod, views: Any) -> tf.Graph:
    """The graph of one training step: the one that `fit(views)` will run."""
    # As in `fit`, down to the scope: a function traced otherwise would be traced once more.
    with method.distribute_strategy.scope():
        function = method.make_train_function()
        distributed = isinstance(views, tf.distribute.DistributedDataset)
        batches = iter(views) if distributed else tf.data.IteratorSpec(views.element_spec)
        return function.get_concrete_function(batches).graph


def check_memory(
    method: SSLMethod, views: Any, *, batch_size: int, ran: int = 0
) -> StepMemory | None:
    """Raise where training would take more memory than there is.

    Args:
        method: compiled.
        views: dataset of batches, as in `predict_memory`.
        batch_size: images in a global batch; for the advice.
        ran: as in `predict_memory`.

    Returns:
        The prediction, or None where there is none.

    Raises:
        TooLittleMemory: with the batch that would fit.
    """
    predicted, free = predict_memory(method, views, ran=ran), free_bytes()
    if predicted is None or free is None or predicted.missing <= free:
        return predicted
    advice = _advice(predicted, batch_size, method.accumulate, free)
    raise TooLittleMemory(
        f"`batch_size` {batch_size} needs about {predicted.missing / _GB:.1f} GB more and "
        f"{free / _GB:.1f} GB are free: {advice}. Received: a step with a "
        f"predicted peak of {predicted.peak / _GB:.1f} GB"
    )


def _advice(predicted: StepMemory, batch_size: int, accumulate: int, free: int) -> str:
    """What would fit, taking all that is not there before the first batch to grow with it."""
    share = (free - predicted.graph) / max(predicted.tensors, 1)
    smaller = "set a smaller views.image_size or backbone.width, or give --ignore_memory to try it"
    fits = int(batch_size * share)
    if fits < 2:
        return smaller
    most = batch_size / accumulate * share
    divisors = (k for k in range(1, batch_size + 1) if batch_size % k == 0)
    parts = next((k for k in divisors if batch_size // k <= most), batch_size)
    return f"set batch_size to {fits} or less, --accumulate to {parts} or more; or {smaller}"


def _has_accelerator() -> bool:
    return any(tf.config.list_logical_devices(kind) for kind in ("GPU", "TPU"))


def _specs(views: Any) -> list[tf.TensorSpec]:
    return tf.nest.flatten(views.element_spec, expand_composites=True)
