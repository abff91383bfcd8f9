"""Kernels of two values in one byte per weight, or half of one, exactly.

A kernel whose output channels each hold +s and -s alone is +1 and -1 in int8 with s as the
channel's scale. Where the operator's input is made of bits, the runtime's own quantisation of
activations is exact too, and the file gets the form which that path knows: int8 weights, float
activations. Everywhere else the weights are turned back into floats as the file is loaded.
Very large kernels of such operators are stored in int4 (`burn_tf.export.nibbles`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from burn_tf.export.nibbles import as_product, can_be_product, nibbles
from burn_tf.export.schema import add_buffer, add_operator_code, packed, schema, unpacked

_EXACT = 1e-6
# The first buffer of every file, which has no bytes.
_EMPTY = 0


def two_valued(kernel: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """int8 signs and float32 scales [out] of a kernel [out, ..], or None where it is no such."""
    rows = kernel.reshape(len(kernel), -1)
    scales = np.abs(rows).max(axis=1)
    if not np.isfinite(scales).all() or not scales.any():
        return None
    if not np.allclose(np.abs(rows), scales[:, None], rtol=_EXACT, atol=0):
        return None
    signs = np.sign(kernel).astype(np.int8)
    return signs, np.where(scales > 0, scales, 1.0).astype(np.float32)


class _Compactor:
    """One pass over the operators of a file's graph."""

    def __init__(self, model: Any, int4_from: int | None) -> None:
        self.model, self.int4_from = model, int4_from
        self.graph = model.subgraphs[0]
        names = schema().BuiltinOperator
        self.codes = [max(c.builtinCode, c.deprecatedBuiltinCode) for c in model.operatorCodes]
        self.convolutions = {names.CONV_2D, names.FULLY_CONNECTED}
        self.producers = {
            int(index): self.codes[operator.opcodeIndex]
            for operator in self.graph.operators
            for index in operator.outputs
        }
        self.bits = names.CEIL
        self.found: dict[int, tuple[np.ndarray, np.ndarray] | None] = {}
        # New tensors by (index of the old one, type).
        self.stored: dict[tuple[int, int], int] = {}
        self.restored: set[int] = set()

    def run(self) -> None:
        operators = []
        for operator in self.graph.operators:
            code = self.codes[operator.opcodeIndex]
            known = code in self.convolutions
            operators += self._converted(operator, code) if known else [operator]
        self.graph.operators = operators
        self._drop_unused()

    def _drop_unused(self) -> None:
        """Take the values away that no tensor has any more."""
        used = {tensor.buffer for graph in self.model.subgraphs for tensor in graph.tensors}
        used |= {entry.buffer for entry in self.model.metadata or ()}
        for index, buffer in enumerate(self.model.buffers):
            if index not in used:
                buffer.data = None

    def _converted(self, operator: Any, code: int) -> list[Any]:
        """The operators that do what this one does, on compact weights where it has such."""
        index = int(operator.inputs[1])
        if index not in self.found:
            self.found[index] = self._two_valued(self.graph.tensors[index])
        found, types = self.found[index], schema().TensorType
        if found is None:
            return [operator]
        if self.producers.get(int(operator.inputs[0])) != self.bits:
            return [*self._restoring(index, self._store(index, types.INT8, *found)), operator]
        if self._is_large(found[0]) and can_be_product(self.model, operator, code):
            rows = found[0].reshape(len(found[0]), -1)
            return as_product(self.model, operator, self._store(index, types.INT4, rows, found[1]))
        operator.inputs[1] = self._store(index, types.INT8, *found)
        return [operator]

    def _is_large(self, signs: np.ndarray) -> bool:
        return self.int4_from is not None and signs.size >= self.int4_from

    def _two_valued(self, tensor: Any) -> tuple[np.ndarray, np.ndarray] | None:
        data = self.model.buffers[tensor.buffer].data
        if tensor.type != schema().TensorType.FLOAT32 or data is None:
            return None
        return two_valued(np.frombuffer(bytes(data), np.float32).reshape(tensor.shape))

    def _store(self, index: int, kind: int, signs: np.ndarray, scales: np.ndarray) -> int:
        """A tensor of these values, in place of the float one."""
        if (index, kind) in self.stored:
            return self.stored[index, kind]
        s, old = schema(), self.graph.tensors[index]
        quantization = s.QuantizationParametersT()
        quantization.scale, quantization.zeroPoint = scales, np.zeros(len(scales), np.int64)
        quantization.quantizedDimension = 0
        new = s.TensorT()
        new.shape, new.name = np.array(signs.shape, np.int32), old.name
        new.type, new.quantization = kind, quantization
        content = nibbles(signs) if kind == s.TensorType.INT4 else signs.tobytes()
        new.buffer = add_buffer(self.model, content)
        old.buffer = _EMPTY
        self.graph.tensors.append(new)
        self.stored[index, kind] = len(self.graph.tensors) - 1
        return len(self.graph.tensors) - 1

    def _restoring(self, index: int, compact_index: int) -> list[Any]:
        """What turns compact weights back into the float ones, once."""
        if index in self.restored:
            return []
        self.restored.add(index)
        s = schema()
        restore = s.OperatorT()
        code = s.BuiltinOperator.DEQUANTIZE
        restore.opcodeIndex = add_operator_code(self.model, code, version=5)
        restore.builtinOptionsType = s.BuiltinOptions.DequantizeOptions
        restore.builtinOptions = s.DequantizeOptionsT()
        restore.inputs = np.array([compact_index], np.int32)
        restore.outputs = np.array([index], np.int32)
        return [restore]


def compact(flatbuffer: bytes, int4_from: int | None = None) -> bytes:
    """A file with its two-valued kernels in int8 or int4; all outputs stay what they are.

    Args:
        flatbuffer: of a float model in built-in operators.
        int4_from: kernels of at least so many weights are stored in int4 where their input is made
            of bits; None (default): no kernel is.
    """
    model = unpacked(flatbuffer)
    _Compactor(model, int4_from).run()
    return packed(model)
