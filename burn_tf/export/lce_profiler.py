"""Time per kind of operator in LCE's interpreter, which tells no times itself.

A file is timed beside itself without the operators of one kind: what these would have given is
stored in the file in their place, and the interpreter runs all others as before. The difference is
the time of the kind, its calls and its memory included.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import Any

import numpy as np

from burn_tf._checks import UserError
from burn_tf.export.schema import add_buffer, packed, schema, unpacked

_SEED = 0


def _names(model: Any) -> list[str]:
    """The name of every entry in a file's list of operators."""
    codes = {code: name for name, code in vars(schema().BuiltinOperator).items()}
    return [
        code.customCode.decode()
        if code.customCode
        else str(codes[max(code.builtinCode, code.deprecatedBuiltinCode)])
        for code in model.operatorCodes
    ]


def without(flatbuffer: bytes, kinds: Collection[str]) -> bytes:
    """A file in which some operators do not run; for timing, its outputs mean nothing.

    Args:
        flatbuffer: Bytes of a .tflite file.
        kinds: Names of the operators to leave out, such as "ADD" and "LceBconv2d".

    Raises:
        UserError: the file has no operator of these kinds.
    """
    model, rng = unpacked(flatbuffer), np.random.default_rng(_SEED)
    names, graph = _names(model), model.subgraphs[0]
    left_out = [op for op in graph.operators if names[op.opcodeIndex] in kinds]
    if not left_out:
        known = dict(Counter(names[op.opcodeIndex] for op in graph.operators))
        raise UserError(
            f"`kinds` must be among the file's operators, {known}. Received: {sorted(kinds)}"
        )
    for operator in left_out:
        for index in operator.outputs:
            tensor = graph.tensors[index]
            tensor.buffer = add_buffer(model, _values(tensor, rng))
    graph.operators = [op for op in graph.operators if names[op.opcodeIndex] not in kinds]
    return packed(model)


def _values(tensor: Any, rng: np.random.Generator) -> bytes:
    """Values of a tensor, of both signs: zeros could be faster than what it holds in use."""
    count, kinds = int(np.prod(tensor.shape)), schema().TensorType
    if tensor.type == kinds.FLOAT32:
        return rng.normal(size=count).astype(np.float32).tobytes()
    size = {kinds.INT32: 4, kinds.INT8: 1, kinds.UINT8: 1, kinds.BOOL: 1}[tensor.type]
    return rng.bytes(count * size)
