"""The largest kernels in half a byte per weight: convolutions as products of matrices in int4.

The stock runtimes convolve int4 kernels slowly: they turn them into int8 again in every run. Their
product of matrices takes int4 as it is. So the windows of a map are laid side by side, first along
the rows and then along the columns, and the kernel becomes a matrix [out, height * width * in].

ReActNet-A at 224 px, 1000 classes, one thread of a Xeon with AVX-512, in turns, 2026-11-22:

    kernels in int4                      file       time
    none                              32.67 MB      1
    the largest, 3 x 3 x 1024 x 1024  27.96 MB      1.02
    also those of 3 x 3 x 512 x 512   20.89 MB      1.4

The largest alone as an int4 CONV_2D takes twice the time of the whole file, and turned into floats
as the file is loaded more than that; its product takes 2 %. All are exact.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from burn_tf.export.schema import add_buffer, add_operator_code, schema

# Of the operators: the first versions that know what is asked for here.
_PAD_VERSION, _SLICE_VERSION, _JOIN_VERSION, _PRODUCT_VERSION = 1, 1, 1, 10
_CHANNELS = 3


def nibbles(values: np.ndarray) -> bytes:
    """Integers of -8 to 7, an even number of them, two in a byte, the first one in the low half."""
    halves = values.reshape(-1, 2).astype(np.uint8) & 15
    return (halves[:, 0] | halves[:, 1] << 4).astype(np.uint8).tobytes()


def can_be_product(model: Any, operator: Any, code: int) -> bool:
    """Whether a convolution has a form that `as_product` knows.

    Args:
        model: the file, unpacked.
        operator: one of its operators.
        code: what it is, of the schema's builtin operators.
    """
    if code != schema().BuiltinOperator.CONV_2D:
        return False
    tensors, options = model.subgraphs[0].tensors, operator.builtinOptions
    given, kernel = (tensors[index].shape for index in operator.inputs[:2])
    undilated = options.dilationHFactor == options.dilationWFactor == 1
    one_group = given[_CHANNELS] == kernel[_CHANNELS]
    return bool(undilated and one_group and np.prod(kernel[1:]) % 2 == 0 and min(given) > 0)


def as_product(model: Any, operator: Any, weights: int) -> list[Any]:
    """The operators that do what a convolution does; constants are added to the file.

    Args:
        model: the file, unpacked.
        operator: for which `can_be_product`.
        weights: the tensor [out, height * width * in].
    """
    steps, options = _Steps(model), operator.builtinOptions
    height, width = model.subgraphs[0].tensors[operator.inputs[1]].shape[1:3]
    sides = model.subgraphs[0].tensors[operator.outputs[0]].shape[1:3]
    strides = options.strideH, options.strideW
    place = int(operator.inputs[0])
    if options.padding == schema().Padding.SAME:
        place = steps.padded(place, sides, strides, (height, width))
    place = steps.windows(place, 2, int(width), strides[1], int(sides[1]))
    place = steps.windows(place, 1, int(height), strides[0], int(sides[0]))
    steps.product(place, weights, operator)
    return steps.operators


class _Steps:
    """Operators one after the other."""

    def __init__(self, model: Any) -> None:
        self.model, self.operators = model, list[Any]()
        self.tensors = model.subgraphs[0].tensors

    def padded(self, place: int, sides: Any, strides: Any, edges: Any) -> int:
        """Zeros around a map, as the convolution has them."""
        shape = np.array(self.tensors[place].shape)
        borders = np.zeros([4, 2], np.int32)
        for axis in (0, 1):
            total = (sides[axis] - 1) * strides[axis] + edges[axis] - shape[axis + 1]
            borders[axis + 1] = max(total, 0) // 2, max(total, 0) - max(total, 0) // 2
        if not borders.any():
            return place
        constant = self._constant("borders", borders)
        inputs = [place, constant]
        return self._add("PAD", _PAD_VERSION, inputs, shape + borders.sum(axis=1), "padded")

    def windows(self, place: int, axis: int, edge: int, stride: int, count: int) -> int:
        """What `count` windows along an axis cover, side by side in the channels."""
        shape = np.array(self.tensors[place].shape)
        if edge == 1 and stride == 1:
            return place
        taps = [self._tap(place, shape, axis, start, stride, count) for start in range(edge)]
        if edge == 1:
            return taps[0]
        shape[axis], shape[_CHANNELS] = count, edge * shape[_CHANNELS]
        options = {"axis": _CHANNELS}
        return self._add("CONCATENATION", _JOIN_VERSION, taps, shape, "windows", options)

    def _tap(
        self, place: int, shape: np.ndarray, axis: int, start: int, stride: int, count: int
    ) -> int:
        """Every `stride`-th row or column, `count` of them."""
        starts, ends, steps = np.zeros(4, np.int32), shape.astype(np.int32), np.ones(4, np.int32)
        starts[axis], steps[axis] = start, stride
        ends[axis] = start + (count - 1) * stride + 1
        names = ("starts", "ends", "steps")
        words = [self._constant(*word) for word in zip(names, (starts, ends, steps), strict=True)]
        result = shape.copy()
        result[axis] = count
        return self._add("STRIDED_SLICE", _SLICE_VERSION, [place, *words], result, "tap")

    def product(self, place: int, weights: int, convolution: Any) -> None:
        """The matrix product, with the bias, the activation and the result of a convolution."""
        bias = convolution.inputs[2] if len(convolution.inputs) > 2 else -1
        options = {
            "keepNumDims": True,
            "fusedActivationFunction": convolution.builtinOptions.fusedActivationFunction,
        }
        inputs = [place, weights, bias]
        self._add("FULLY_CONNECTED", _PRODUCT_VERSION, inputs, None, "", options)
        self.operators[-1].outputs = convolution.outputs

    def _constant(self, name: str, values: np.ndarray) -> int:
        tensor = self._tensor(name, values.shape, schema().TensorType.INT32)
        tensor.buffer = add_buffer(self.model, values.tobytes())
        return len(self.tensors) - 1

    def _tensor(self, name: str, shape: Any, kind: int) -> Any:
        tensor = schema().TensorT()
        tensor.name, tensor.type = f"{name}_{len(self.tensors)}".encode(), kind
        tensor.shape = np.array(shape, np.int32)
        self.tensors.append(tensor)
        return tensor

    def _add(
        self,
        name: str,
        version: int,
        inputs: list[int],
        shape: Any,
        result: str,
        options: dict[str, Any] | None = None,
    ) -> int:
        """Append an operator; the index of its result, a new float tensor, unless it has one."""
        s, operator = schema(), schema().OperatorT()
        code = getattr(s.BuiltinOperator, name)
        operator.opcodeIndex = add_operator_code(self.model, code, version)
        kind = "".join(word.capitalize() for word in name.split("_"))
        operator.builtinOptionsType = getattr(s.BuiltinOptions, f"{kind}Options")
        operator.builtinOptions = getattr(s, f"{kind}OptionsT")()
        for key, value in (options or {}).items():
            setattr(operator.builtinOptions, key, value)
        operator.inputs = np.array(inputs, np.int32)
        if shape is not None:
            self._tensor(result, shape, s.TensorType.FLOAT32)
            operator.outputs = np.array([len(self.tensors) - 1], np.int32)
        self.operators.append(operator)
        return len(self.tensors) - 1
