"""The reader of files against TensorFlow's own schema classes."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.lite.python import schema_py_generated as schema

from burn_tf._checks import UserError
from burn_tf.export import flatbuffer
from burn_tf.export.flatbuffer import read_flatbuffer

BUILTINS = {
    value: name for name, value in vars(schema.BuiltinOperator).items() if not name.startswith("_")
}


@pytest.fixture(scope="module")
def float_file() -> bytes:
    """A file of TensorFlow's own converter, with operators and types that ours has not."""

    @tf.function(input_signature=[tf.TensorSpec([1, 6, 6, 3])])
    def serve(images):
        x = tf.nn.softmax(tf.nn.conv2d(images, tf.ones([3, 3, 3, 4]), 1, "SAME"))
        return tf.gather(tf.reshape(x, [36, 4]), [3, 1]) * tf.constant([[1.0], [2.0]])

    module = tf.Module()
    concrete = serve.get_concrete_function()
    return tf.lite.TFLiteConverter.from_concrete_functions([concrete], module).convert()


@pytest.mark.parametrize("origin", ["lce", "tflite"])
def test_agrees_with_the_schema(origin, exported, float_file):
    data = exported.flatbuffer if origin == "lce" else float_file
    graph = read_flatbuffer(data)
    expected = schema.ModelT.InitFromPackedBuf(data, 0)
    subgraph = expected.subgraphs[0]
    assert len(graph.operators) == len(subgraph.operators) > 3
    for ours, theirs in zip(graph.operators, subgraph.operators, strict=True):
        code = expected.operatorCodes[theirs.opcodeIndex]
        custom = code.customCode.decode() if code.customCode else None
        assert ours.name == (custom or BUILTINS[code.builtinCode])
        for tensors, indices in ((ours.inputs, theirs.inputs), (ours.outputs, theirs.outputs)):
            assert len(tensors) == len(indices)
            for tensor, index in zip(tensors, indices, strict=True):
                _check_tensor(tensor, index, expected)


def _check_tensor(tensor, index, expected):
    if index < 0:
        assert tensor is None
        return
    wanted = expected.subgraphs[0].tensors[index]
    data = expected.buffers[wanted.buffer].data
    assert tensor.name == wanted.name.decode()
    assert tensor.shape == tuple(wanted.shape)
    assert tensor.data == (b"" if data is None else bytes(data))
    types = {schema.TensorType.FLOAT32: "float32", schema.TensorType.INT32: "int32"}
    assert tensor.dtype == types[wanted.type]


def _array(tensor):
    return tensor.array()


def test_inputs_outputs_counts_and_constants(float_file):
    graph = read_flatbuffer(float_file)
    assert [tensor.shape for tensor in graph.inputs] == [(1, 6, 6, 3)]
    assert [tensor.shape for tensor in graph.outputs] == [(2, 4)]
    assert graph.counts()["CONV_2D"] == 1 and "LceBconv2d" not in graph.counts()
    (convolution,) = graph.named("CONV_2D")
    np.testing.assert_array_equal(_array(convolution.inputs[1]), np.ones((4, 3, 3, 3)))


def test_names_are_those_of_the_schema():
    assert {code: BUILTINS[code] for code in flatbuffer._BUILTIN_NAMES} == flatbuffer._BUILTIN_NAMES


@pytest.mark.parametrize("bad", [b"", b"not a file at all", "text", None, b"\0\0\0\0TFL3"])
def test_other_bytes_are_refused(bad):
    with pytest.raises(UserError, match="flatbuffer"):
        read_flatbuffer(bad)


def test_a_truncated_file_is_refused(exported):
    whole = exported.flatbuffer
    for length in range(8, len(whole) // 2, 97):
        with pytest.raises(UserError, match=f"truncated or damaged.*{length} bytes"):
            read_flatbuffer(whole[:length])


def test_damage_ends_in_an_answer_or_our_error(exported):
    """Never another exception and never an endless loop."""
    rng, refused = np.random.default_rng(0), 0
    for _ in range(150):
        damaged = bytearray(exported.flatbuffer)
        for place in rng.integers(8, len(damaged), 40):
            damaged[place] = rng.integers(256)
        try:
            read_flatbuffer(bytes(damaged))
        except UserError:
            refused += 1
    assert refused > 0
