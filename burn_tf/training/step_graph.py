"""The graph of a training step as `burn_tf.training.liveness` plays it."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from burn_tf._compat import nested_graph
from burn_tf.training.liveness import Operation, Sharing, peak_bytes

_ALIASES = frozenset(
    ["Identity", "IdentityN", "Reshape", "StopGradient", "PreventGradient", "ExpandDims", "Squeeze",
     "EnsureShape", "Bitcast", "While", "StatelessWhile"]
)  # fmt: skip
# Kernels that write into an input when nobody else needs it.
_IN_PLACE = frozenset(
    ["Abs", "Add", "AddN", "AddV2", "BiasAdd", "DivNoNan", "Exp", "Log", "LogSoftmax", "Maximum",
     "Minimum", "Mul", "Neg", "Pow", "RealDiv", "Reciprocal", "Relu", "Relu6", "Relu6Grad",
     "ReluGrad", "Rsqrt", "Sigmoid", "Sign", "Softmax", "Sqrt", "Square", "SquaredDifference",
     "Sub", "Tanh", "Xlogy"]
)  # fmt: skip
_KEPT = frozenset(["Const", "Placeholder", "ReadVariableOp"])
_WITHOUT_BYTES = (tf.resource, tf.variant, tf.string)
# Operations that call functions, and the attributes that name these.
_BODIES = {
    "PartitionedCall": ("f",),
    "StatefulPartitionedCall": ("f",),
    "While": ("body", "cond"),
    "StatelessWhile": ("body", "cond"),
    "If": ("then_branch", "else_branch"),
    "StatelessIf": ("then_branch", "else_branch"),
}


def graph_peak(graph: tf.Graph, workers: int = 2) -> int:
    """Bytes of tensors at the worst moment of a function's graph (`ConcreteFunction.graph`).

    Functions inside are played too; those that XLA compiles count by their outputs alone. A tensor
    whose size the graph does not know counts as nothing: in the steps of this library those are
    small, or empty on CPUs (what batch norms keep for cuDNN).
    """
    return peak_bytes(graph_operations(graph, workers), workers)


def graph_size(graph: tf.Graph) -> int:
    """Operations of a function's graph and of the functions inside."""
    inner = (nested_graph(graph, name) for op in graph.get_operations() for name in _functions(op))
    return len(graph.get_operations()) + sum(graph_size(body) for body in inner)


def graph_operations(
    graph: tf.Graph, workers: int = 2, inputs: Sharing = "kept"
) -> list[Operation]:
    """What the executor runs of a function's graph, in order; `inputs`: whose its arguments are."""
    kept = _needed(graph)
    places = {op.name: place for place, op in enumerate(kept)}
    return [
        Operation(
            reads=tuple((places[t.op.name], t.value_index) for t in op.inputs),
            outputs=tuple(tensor_bytes(tensor) for tensor in op.outputs),
            sharing=inputs if op.type == "Placeholder" else _sharing(op.type),
            after=tuple(places[other.name] for other in op.control_inputs),
            inner_bytes=_inner_peak(graph, op, workers),
        )
        for op in kept
    ]


def tensor_bytes(tensor: tf.Tensor | tf.TensorSpec) -> int:
    """Bytes of a tensor; 0 where they are not known, or not in the tensor itself."""
    if tensor.dtype in _WITHOUT_BYTES:
        return 0
    return int(tensor.shape.num_elements() or 0) * int(tensor.dtype.size)


def _needed(graph: tf.Graph) -> Sequence[tf.Operation]:
    """Operations that a result or a side effect depends on: TensorFlow leaves out all others."""
    operations = graph.get_operations()
    todo = [tensor.op for tensor in graph.outputs]
    todo += [op for op in operations if op.op_def.is_stateful]
    needed: set[str] = set()
    while todo:
        op = todo.pop()
        if op.name not in needed:
            needed.add(op.name)
            todo += [*(tensor.op for tensor in op.inputs), *op.control_inputs]
    return [op for op in operations if op.name in needed]


def _sharing(kind: str) -> Sharing:
    if kind in _KEPT:
        return "kept"
    if kind in _ALIASES:
        return "alias"
    return "in_place" if kind in _IN_PLACE else "own"


def _functions(op: tf.Operation) -> list[str]:
    if op.type not in _BODIES:
        return []
    attributes = op.node_def.attr
    if "_XlaMustCompile" in attributes and attributes["_XlaMustCompile"].b:
        return []
    return [attributes[name].func.name for name in _BODIES[op.type]]


def _inner_peak(graph: tf.Graph, op: tf.Operation, workers: int) -> int:
    # A loop's body may overwrite what it is given; a call's arguments belong to the caller.
    inputs: Sharing = "given" if op.type in ("While", "StatelessWhile") else "kept"
    bodies = [nested_graph(graph, name) for name in _functions(op)]
    return max(
        (peak_bytes(graph_operations(body, workers, inputs), workers) for body in bodies), default=0
    )
