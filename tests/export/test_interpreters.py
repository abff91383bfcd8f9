"""What the two interpreters tell of a file, in the same words."""

from __future__ import annotations

import numpy as np
import pytest

from burn_tf.export.interpreters import INTERPRETERS, PACKAGES, RUNTIMES, Tensor, import_runtime
from tests.export import stock_files


def test_every_runtime_has_an_interpreter_and_a_package():
    assert set(INTERPRETERS) == set(PACKAGES) == set(RUNTIMES)
    for name in RUNTIMES:
        assert hasattr(import_runtime(name), "Interpreter")


def test_real_values_of_a_quantised_tensor():
    tensor = Tensor((1, 3), np.dtype(np.int8), 0.5, -10)
    real = tensor.real(np.array([[-128, -10, 127]], np.int8))
    assert real.dtype == np.float32
    np.testing.assert_array_equal(real, [[-59.0, 0.0, 68.5]])


def test_real_values_of_a_plain_tensor():
    values = np.array([[3, -4]], np.int64)
    np.testing.assert_array_equal(Tensor((1, 2), values.dtype, 0.0, 0).real(values), [[3.0, -4.0]])


@pytest.mark.parametrize("name", RUNTIMES)
def test_tensors_are_those_of_the_file(name, exported):
    data, sides = (exported.flatbuffer, 10) if name == "lce" else (stock_files.float_file(), 8)
    interpreter = INTERPRETERS[name](data, 1)
    assert interpreter.inputs == [Tensor((1, sides, sides, 3), np.dtype(np.float32), 0.0, 0)]
    assert [tensor.shape for tensor in interpreter.outputs] == [(1, 7 if name == "lce" else 5)]


def test_lce_runs_quantised_inputs_and_outputs():
    """The interpreter of LCE tells scale and zero point as LiteRT's does of the same file."""
    ours, stock = (INTERPRETERS[name](stock_files.int8_file(), 1) for name in RUNTIMES)
    assert ours.inputs == stock.inputs and ours.outputs == stock.outputs
    image = np.full([1, *stock_files.SHAPE], 9, np.int8)
    for interpreter in (ours, stock):
        interpreter.put(image)
        interpreter.invoke()
    steps = np.abs(ours.take()[0].astype(int) - stock.take()[0].astype(int))
    assert steps.max() <= 1


def test_lce_reads_several_outputs():
    interpreter = INTERPRETERS["lce"](stock_files.divided_file(), 1)
    interpreter.put(stock_files.pictures(1))
    interpreter.invoke()
    assert sorted(array.shape for array in interpreter.take()) == [(1, 4, 4, 2), (1, 144)]
