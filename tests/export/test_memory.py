"""Peak memory is the file's own, whatever the size of the process that asks."""

from __future__ import annotations

import numpy as np

from burn_tf.export.isolation import call_isolated
from tests.export import stock_files

MIB = 2**20


def peak(data: bytes, folder, runtime: str = "litert") -> int:
    path = folder / "model.tflite"
    path.write_bytes(data)
    return int(call_isolated("memory.peak_memory", str(path), runtime, 1, 2))


def test_a_large_file_needs_its_weights_and_a_small_one_little(tmp_path):
    weights = 16 * MIB
    assert len(stock_files.large_file()) > weights
    # The file itself, XNNPACK's rearranged copy, and little else.
    assert weights < peak(stock_files.large_file(), tmp_path) < 3 * weights
    assert 0 < peak(stock_files.float_file(), tmp_path) < weights / 2


def test_the_memory_of_this_process_does_not_count(tmp_path):
    ballast = np.ones(300 * MIB, np.uint8)
    assert peak(stock_files.float_file(), tmp_path) < 8 * MIB
    assert ballast.size == 300 * MIB
