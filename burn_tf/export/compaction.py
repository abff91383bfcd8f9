"""Kernels of two values in one byte per weight, exactly.

A kernel whose output channels each hold +s and -s alone is +1 and -1 in int8 with s as the
channel's scale. Where the operator's input is made of bits, the runtime's own quantisation of
activations is exact too, and the file gets the form which that path knows: int8 weights, float
activations. Everywhere else the weights are turned back into floats as the file is loaded.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from burn_tf.export.schema import add_operator_code, packed, schema, unpacked

_EXACT = 1e-6


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

    def __init__(self, model: Any) -> None:
        self.model = model
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
        self.done: dict[int, int] = {}

    def run(self) -> None:
        operators = []
        for operator in self.graph.operators:
            if self.codes[operator.opcodeIndex] in self.convolutions:
                operators += self._converted(operator)
            operators.append(operator)
        self.graph.operators = operators

    def _converted(self, operator: Any) -> list[Any]:
        """Make an operator's weights compact; the operators that must come before it."""
        index = int(operator.inputs[1])
        tensor = self.graph.tensors[index]
        data = self.model.buffers[tensor.buffer].data
        if tensor.type != schema().TensorType.FLOAT32 or data is None:
            return []
        found = two_valued(np.frombuffer(bytes(data), np.float32).reshape(tensor.shape))
        if found is None:
            return []
        compact_index = self.done.setdefault(index, -1)
        if compact_index < 0:
            compact_index = self.done[index] = self._add_tensor(tensor, *found)
        if self.producers.get(int(operator.inputs[0])) == self.bits:
            operator.inputs[1] = compact_index
            return []
        return self._restored(operator, compact_index, tensor)

    def _add_tensor(self, tensor: Any, signs: np.ndarray, scales: np.ndarray) -> int:
        s = schema()
        quantization = s.QuantizationParametersT()
        quantization.scale, quantization.zeroPoint = scales, np.zeros(len(scales), np.int64)
        quantization.quantizedDimension = 0
        new = s.TensorT()
        new.shape, new.name = tensor.shape, tensor.name
        new.type, new.quantization = s.TensorType.INT8, quantization
        new.buffer = len(self.model.buffers)
        buffer = s.BufferT()
        buffer.data = signs.reshape(-1).view(np.uint8)
        self.model.buffers.append(buffer)
        # Whoever still used the float values reads the int8 ones now.
        self.model.buffers[tensor.buffer].data = None
        self.graph.tensors.append(new)
        return len(self.graph.tensors) - 1

    def _restored(self, operator: Any, compact_index: int, tensor: Any) -> list[Any]:
        s = schema()
        restore = s.OperatorT()
        code = s.BuiltinOperator.DEQUANTIZE
        restore.opcodeIndex = add_operator_code(self.model, code, version=5)
        self.codes.append(code)
        restore.builtinOptionsType = s.BuiltinOptions.DequantizeOptions
        restore.builtinOptions = s.DequantizeOptionsT()
        restore.inputs = np.array([compact_index], np.int32)
        restore.outputs = np.array([operator.inputs[1]], np.int32)
        return [restore]


def compact(flatbuffer: bytes) -> bytes:
    """A file with its two-valued kernels in int8; all outputs stay what they are.

    Args:
        flatbuffer: of a float model in built-in operators.
    """
    model = unpacked(flatbuffer)
    _Compactor(model).run()
    return packed(model)
