"""Times per kernel come from LiteRT's own table."""

from __future__ import annotations

from typing import Any

import pytest

from burn_tf._checks import UserError
from burn_tf.export import litert_profiler
from burn_tf.export.isolation import call_isolated
from burn_tf.export.litert_profiler import read_summary
from tests.export import stock_files

SUMMARY = """
============================== Summary by node type ==============================
             [Node type]    [count]   [avg ms]    [avg %]    [cdf %]   [mem KB] [times called]
      Delegate/Fully Connected (NC, F32) GEMM          2      0.300    20.000%    60.000%      0.000              8
                                      CUMSUM          1      1.250    40.000%   100.000%      0.000              4
                          Delegate/Add (ND)           1      0.000     0.000%   100.000%      0.000              4

============================== Delegate Statistics ==============================
Op Name                                     Count    Avg(us)    Min(us)    Max(us)  Total(us)
Delegate/Add (ND)                               4      30.34          2        188       2822
"""  # noqa: E501


def test_the_table_of_node_types():
    rows = read_summary(SUMMARY, runs=4)
    assert [(row["name"], row["delegated"], row["count"]) for row in rows] == [
        ("CUMSUM", False, 1),
        ("Fully Connected (NC, F32) GEMM", True, 2),
        ("Add (ND)", True, 1),
    ]
    # Mean time of a call times the calls of one run.
    assert [row["milliseconds"] for row in rows] == pytest.approx([1.25, 0.6, 0.0])


def test_no_table():
    assert read_summary("nothing", runs=1) == []


def profiled(data: bytes, folder) -> list[dict[str, Any]]:
    path = folder / "model.tflite"
    path.write_bytes(data)
    return list(call_isolated("litert_profiler.operator_times", str(path), 1, 4, 1))


def test_a_file_of_xnnpack_kernels(tmp_path):
    rows = profiled(stock_files.float_file(), tmp_path)
    assert all(row["delegated"] for row in rows)
    convolutions = [row for row in rows if row["name"].startswith("Convolution")]
    assert sum(row["count"] for row in convolutions) == 2


def test_a_built_in_kernel_is_told_apart(tmp_path):
    """The same answer as the interpreter's plan gives, from another source."""
    rows = profiled(stock_files.divided_file(), tmp_path)
    assert [row["name"] for row in rows if not row["delegated"]] == ["CUMSUM"]


def test_times_grow_with_the_work(tmp_path):
    small, large = (
        sum(row["milliseconds"] for row in profiled(data, tmp_path))
        for data in (stock_files.float_file(), stock_files.large_file())
    )
    assert large > 3 * small


def test_a_file_that_litert_cannot_run(exported, tmp_path):
    with pytest.raises(UserError, match="LiteRT's profiler refuses the file"):
        profiled(exported.flatbuffer, tmp_path)


def test_a_litert_without_the_functions(monkeypatch):
    library = litert_profiler._Library()
    with pytest.raises(UserError, match=r"library without LiteRtNoSuchFunction"):
        library.call("NoSuchFunction")
