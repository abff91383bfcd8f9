"""The only file that touches private or fragile interfaces of TensorFlow and Larq."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import larq.context as larq_context
import tensorflow as tf
from tensorflow.python.eager import context as eager_context
from tensorflow.python.framework import ops


@contextlib.contextmanager
def quantized_scope(quantize: bool) -> Iterator[None]:
    """`larq.context.quantized_scope` that is switched back also when its body raises.

    Larq's own scope stays on for the thread after an exception, and every later save would then
    store binarised weights.
    """
    before = larq_context.should_quantize()
    scope = larq_context.quantized_scope(quantize)
    scope.__enter__()
    try:
        yield
    finally:
        scope.__exit__(None, None, None)
        if larq_context.should_quantize() != before:
            raise RuntimeError("larq.context.quantized_scope did not restore its state")


def is_functional(model: tf.keras.Model) -> bool:
    """Whether a Keras model is a graph of layers (not a subclass with code of its own)."""
    return bool(getattr(model, "_is_graph_network", False)) and not isinstance(
        model, tf.keras.Sequential
    )


@contextlib.contextmanager
def custom_gradients_dropped() -> Iterator[None]:
    """Drop the custom gradients that were traced inside, and with them the graphs they hold.

    TensorFlow keeps every graph that has one, of 20 MB and more, for as long as the process lives.
    Functions traced inside still run, with the gradients that are in them; no new ones can be made.
    """
    registered = ops.gradient_registry._registry
    before = set(registered)
    try:
        yield
    finally:
        for name in registered.keys() - before:
            del registered[name]


def nested_graph(graph: tf.Graph, name: str) -> tf.Graph:
    """The graph of a function that operations of a traced graph call by name."""
    return graph._get_function(name).graph


def context_is_begun() -> bool:
    """Whether TensorFlow has set up its devices: a group of workers must be formed before."""
    return eager_context.context()._context_handle is not None


def set_group_timeouts(
    jobs: Mapping[str, int], *, form_seconds: int, heartbeat_seconds: int
) -> None:
    """How long the workers of a later MultiWorkerMirroredStrategy wait for each other.

    Args:
        jobs: number of workers by job, "worker" and perhaps "chief".
        form_seconds: until all have joined; TensorFlow's own limit is an hour.
        heartbeat_seconds: without a sign of life, until one counts as lost.
    """
    # Its place changes from one TensorFlow to the next; only a run of several workers needs it.
    from tensorflow.compiler.xla.tsl.protobuf import coordination_config_pb2

    leader = "chief" if "chief" in jobs else "worker"
    eager_context.context().configure_coordination_service(
        service_type="standalone",
        service_leader=f"/job:{leader}/replica:0/task:0",
        cluster_register_timeout_in_ms=1000 * form_seconds,
        heartbeat_timeout_in_ms=1000 * heartbeat_seconds,
        coordinated_jobs=[
            coordination_config_pb2.CoordinatedJob(name=job, num_tasks=count)
            for job, count in jobs.items()
        ],
    )


class NamedBuild(tf.keras.layers.Layer):
    """A layer whose weights have its name in front, when it is read from a file too.

    Keras builds a layer of its own at the first call, in a scope of the layer's name, but one of
    ours while it reads a .keras file, in none: every shift would then be called `shift:0`. HDF5
    files of weights refuse two of one name, and the guard could not say which layer diverged.
    """

    def build_from_config(self, config: dict[str, Any]) -> None:
        with tf.name_scope(self.name):
            super().build_from_config(config)
