"""TFLite files as objects that can be changed, by TensorFlow's own schema."""

from __future__ import annotations

from typing import Any

import flatbuffers
import numpy as np


def schema() -> Any:
    """The classes of tflite/schema.fbs; importing them takes a moment."""
    from tensorflow.lite.python import schema_py_generated

    return schema_py_generated


def unpacked(flatbuffer: bytes) -> Any:
    """The file as a `ModelT`."""
    return schema().ModelT.InitFromPackedBuf(bytearray(flatbuffer), 0)


class _Builder(flatbuffers.Builder):
    """Aligns what may hold numbers of any size, as the schema asks of buffers: to 16 bytes."""

    def StartVector(self, elemSize: int, numElems: int, alignment: int) -> Any:
        return super().StartVector(elemSize, numElems, 16 if elemSize == 1 else alignment)


def packed(model: Any) -> bytes:
    """The bytes of a `ModelT`."""
    builder = _Builder(1 << 20)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def order_outputs(model: Any) -> None:
    """Put the outputs in the order of their names in the signature, as Keras has them."""
    signatures = model.signatureDefs or []
    if len(signatures) != 1:
        return

    def place(entry: Any) -> tuple[str, int]:
        stem, _, number = entry.name.decode().rpartition("_")
        return (stem, int(number)) if number.isdecimal() else (entry.name.decode(), 0)

    graph, entries = model.subgraphs[0], sorted(signatures[0].outputs, key=place)
    ordered = [entry.tensorIndex for entry in entries]
    if sorted(ordered) == sorted(int(index) for index in graph.outputs):
        graph.outputs = np.array(ordered, np.int32)


def add_operator_code(model: Any, code: int, version: int) -> int:
    """Index of an operator's entry in the file's list; added at its end where it is absent."""
    for index, entry in enumerate(model.operatorCodes):
        if max(entry.builtinCode, entry.deprecatedBuiltinCode) == code and not entry.customCode:
            entry.version = max(entry.version, version)
            return index
    entry = schema().OperatorCodeT()
    # Readers before 2020 look at the first, of one byte.
    entry.deprecatedBuiltinCode, entry.builtinCode, entry.version = min(code, 127), code, version
    model.operatorCodes.append(entry)
    return len(model.operatorCodes) - 1


def add_buffer(model: Any, content: bytes) -> int:
    """Index of a new buffer with these bytes."""
    buffer = schema().BufferT()
    buffer.data = np.frombuffer(content, np.uint8)
    model.buffers.append(buffer)
    return len(model.buffers) - 1
