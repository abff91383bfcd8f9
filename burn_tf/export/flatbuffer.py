"""A reader of TFLite flatbuffers that shares nothing with the converter that wrote them."""

from __future__ import annotations

import dataclasses
import struct
from collections import Counter
from collections.abc import Iterator

import numpy as np

from burn_tf._checks import UserError

# Field numbers of tflite/schema.fbs (version 3): they are its binary interface and never change.
_MODEL_OPERATOR_CODES, _MODEL_SUBGRAPHS, _MODEL_BUFFERS = 1, 2, 4
_CODE_DEPRECATED_BUILTIN, _CODE_CUSTOM, _CODE_BUILTIN = 0, 1, 3
_SUBGRAPH_TENSORS, _SUBGRAPH_INPUTS, _SUBGRAPH_OUTPUTS, _SUBGRAPH_OPERATORS = 0, 1, 2, 3
_TENSOR_SHAPE, _TENSOR_TYPE, _TENSOR_BUFFER, _TENSOR_NAME = 0, 1, 2, 3
_OPERATOR_CODE, _OPERATOR_INPUTS, _OPERATOR_OUTPUTS = 0, 1, 2
_BUFFER_DATA = 0

_CUSTOM = 32
_BUILTIN_NAMES = {
    0: "ADD",
    1: "AVERAGE_POOL_2D",
    2: "CONCATENATION",
    3: "CONV_2D",
    4: "DEPTHWISE_CONV_2D",
    5: "DEPTH_TO_SPACE",
    6: "DEQUANTIZE",
    8: "FLOOR",
    9: "FULLY_CONNECTED",
    11: "L2_NORMALIZATION",
    14: "LOGISTIC",
    17: "MAX_POOL_2D",
    18: "MUL",
    19: "RELU",
    20: "RELU_N1_TO_1",
    21: "RELU6",
    22: "RESHAPE",
    23: "RESIZE_BILINEAR",
    25: "SOFTMAX",
    26: "SPACE_TO_DEPTH",
    28: "TANH",
    34: "PAD",
    36: "GATHER",
    39: "TRANSPOSE",
    40: "MEAN",
    41: "SUB",
    42: "DIV",
    43: "SQUEEZE",
    45: "STRIDED_SLICE",
    47: "EXP",
    49: "SPLIT",
    53: "CAST",
    54: "PRELU",
    55: "MAXIMUM",
    56: "ARG_MAX",
    57: "MINIMUM",
    58: "LESS",
    59: "NEG",
    60: "PADV2",
    61: "GREATER",
    62: "GREATER_EQUAL",
    64: "SELECT",
    65: "SLICE",
    67: "TRANSPOSE_CONV",
    69: "TILE",
    70: "EXPAND_DIMS",
    73: "LOG",
    74: "SUM",
    75: "SQRT",
    76: "RSQRT",
    77: "SHAPE",
    78: "POW",
    83: "PACK",
    88: "UNPACK",
    92: "SQUARE",
    97: "RESIZE_NEAREST_NEIGHBOR",
    98: "LEAKY_RELU",
    100: "MIRROR_PAD",
    101: "ABS",
    104: "CEIL",
    105: "REVERSE_V2",
    114: "QUANTIZE",
    116: "ROUND",
    117: "HARD_SWISH",
    123: "SELECT_V2",
    126: "BATCH_MATMUL",
    130: "BROADCAST_TO",
    150: "GELU",
    152: "RELU_0_TO_1",
    158: "SIGN",
}
_DTYPES = {0: "float32", 2: "int32", 3: "uint8", 4: "int64", 6: "bool", 9: "int8", 17: "int4"}


@dataclasses.dataclass(frozen=True)
class TFLiteTensor:
    """A tensor's name, shape, type and, for a constant, its bytes."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    data: bytes

    def array(self) -> np.ndarray:
        """The constant's values; int8 where it is stored in int4."""
        if self.dtype == "int4":
            packed = np.frombuffer(self.data, np.uint8)
            # The low half of a byte is first; 15 is -1.
            halves = np.stack([packed & 15, packed >> 4], axis=1).astype(np.int8)
            values = (halves ^ 8) - 8
            return values.reshape(-1)[: int(np.prod(self.shape))].reshape(self.shape)
        return np.frombuffer(self.data, self.dtype).reshape(self.shape)


@dataclasses.dataclass(frozen=True)
class TFLiteOperator:
    """An operator's name (`CONV_2D`, `LceBconv2d`, ...) and its tensors; an absent one is None."""

    name: str
    inputs: tuple[TFLiteTensor | None, ...]
    outputs: tuple[TFLiteTensor | None, ...]


@dataclasses.dataclass(frozen=True)
class TFLiteGraph:
    """Operators of the first subgraph in order of execution, and its inputs and outputs."""

    operators: tuple[TFLiteOperator, ...]
    inputs: tuple[TFLiteTensor, ...]
    outputs: tuple[TFLiteTensor, ...]

    def counts(self) -> dict[str, int]:
        """How often each operator occurs."""
        return dict(Counter(operator.name for operator in self.operators))

    def named(self, name: str) -> tuple[TFLiteOperator, ...]:
        """The operators of one name."""
        return tuple(operator for operator in self.operators if operator.name == name)


class _Node:
    """One flatbuffer table, read by field number.

    A table starts with the distance back to its vtable. The vtable has its own length, the table's
    length, and per field the distance from the table's start, or 0 where the field is absent.
    """

    def __init__(self, data: bytes, position: int) -> None:
        self._data, self._position = data, position

    def _read(self, kind: str, position: int) -> int:
        if position < 0:
            raise struct.error("an offset points before the start")
        return int(struct.unpack_from("<" + kind, self._data, position)[0])

    def _place(self, field: int) -> int | None:
        vtable = self._position - self._read("i", self._position)
        entry = 4 + 2 * field
        distance = self._read("H", vtable + entry) if entry < self._read("H", vtable) else 0
        return self._position + distance if distance else None

    def scalar(self, field: int, kind: str) -> int:
        """A number by its `struct` letter; 0 where it is absent."""
        place = self._place(field)
        return 0 if place is None else self._read(kind, place)

    def _vector(self, field: int) -> tuple[int, int]:
        """Length and first position of a vector; (0, 0) where it is absent."""
        place = self._place(field)
        if place is None:
            return 0, 0
        start = place + self._read("I", place)
        return self._read("I", start), start + 4

    def vector(self, field: int, dtype: str) -> np.ndarray:
        """A vector of numbers."""
        length, start = self._vector(field)
        return np.frombuffer(self._data, dtype, length, start) if length else np.zeros(0, dtype)

    def text(self, field: int) -> str:
        """A string; empty where it is absent."""
        return self.vector(field, "u1").tobytes().decode("utf-8")

    def tables(self, field: int) -> Iterator[_Node]:
        """The tables that a vector points to."""
        length, start = self._vector(field)
        for place in range(start, start + 4 * length, 4):
            yield _Node(self._data, place + self._read("I", place))


def _operator_name(code: _Node) -> str:
    # Codes up to 127 are written to both fields and later ones only to the newer field.
    builtin = max(
        code.scalar(_CODE_DEPRECATED_BUILTIN, "b"),
        code.scalar(_CODE_BUILTIN, "i"),
    )
    if builtin == _CUSTOM:
        return code.text(_CODE_CUSTOM)
    return _BUILTIN_NAMES.get(builtin, f"BUILTIN_{builtin}")


def _tensor(node: _Node, buffers: list[bytes]) -> TFLiteTensor:
    kind = node.scalar(_TENSOR_TYPE, "b")
    return TFLiteTensor(
        name=node.text(_TENSOR_NAME),
        shape=tuple(int(side) for side in node.vector(_TENSOR_SHAPE, "<i4")),
        dtype=_DTYPES.get(kind, f"type_{kind}"),
        data=buffers[node.scalar(_TENSOR_BUFFER, "I")],
    )


def _read(data: bytes) -> TFLiteGraph:
    model = _Node(data, struct.unpack_from("<I", data)[0])
    names = [_operator_name(code) for code in model.tables(_MODEL_OPERATOR_CODES)]
    buffers = [bytes(node.vector(_BUFFER_DATA, "u1")) for node in model.tables(_MODEL_BUFFERS)]
    subgraph = next(model.tables(_MODEL_SUBGRAPHS))
    tensors = [_tensor(node, buffers) for node in subgraph.tables(_SUBGRAPH_TENSORS)]

    def pick(node: _Node, field: int) -> tuple[TFLiteTensor | None, ...]:
        return tuple(tensors[i] if i >= 0 else None for i in node.vector(field, "<i4"))

    operators = tuple(
        TFLiteOperator(
            names[node.scalar(_OPERATOR_CODE, "I")],
            pick(node, _OPERATOR_INPUTS),
            pick(node, _OPERATOR_OUTPUTS),
        )
        for node in subgraph.tables(_SUBGRAPH_OPERATORS)
    )
    inputs, outputs = (
        tuple(tensors[i] for i in subgraph.vector(field, "<i4"))
        for field in (_SUBGRAPH_INPUTS, _SUBGRAPH_OUTPUTS)
    )
    return TFLiteGraph(operators, inputs, outputs)


def read_flatbuffer(data: bytes) -> TFLiteGraph:
    """Operators and constants of the first subgraph of a TFLite file's bytes.

    Raises:
        UserError: the bytes are not a whole TFLite flatbuffer.

    Example:
        >>> from burn_tf import backbones, export
        >>> from burn_tf.export.flatbuffer import read_flatbuffer
        >>> model = backbones.ReActNetTiny(input_shape=(16, 16, 3), classes=10)
        >>> read_flatbuffer(export.to_lce(model).flatbuffer).counts()["LceBconv2d"] > 0
        True
    """
    if not isinstance(data, (bytes, bytearray)) or bytes(data[4:8]) != b"TFL3":
        size = len(data) if isinstance(data, (bytes, bytearray)) else 0
        raise UserError(
            "`flatbuffer` must be the bytes of a .tflite file. "
            f"Received: {type(data).__name__} of {size} bytes"
        )
    try:
        return _read(bytes(data))
    except (struct.error, IndexError, ValueError, StopIteration) as error:
        raise UserError(
            "`flatbuffer` is truncated or damaged: export it again. "
            f"Received: {len(data)} bytes ({error})"
        ) from error
