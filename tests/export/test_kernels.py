"""Which kernels run is read from the interpreter's plan."""

from __future__ import annotations

from typing import Any

import pytest

from burn_tf.export.kernels import kernels_of
from burn_tf.export.runtime import load_runtime
from tests.export import stock_files


def node(index: int, name: str, inputs: list[int], outputs: list[int]) -> dict[str, Any]:
    return {"index": index, "op_name": name, "inputs": inputs, "outputs": outputs}


def test_a_graph_in_two_parts():
    """0 -> CONV -> 1 -> TOPK -> 2 -> MUL, ADD -> 4, with delegates over CONV and over MUL, ADD."""
    nodes = [
        node(0, "CONV_2D", [0, 10], [1]),
        node(1, "TOPK_V2", [1], [2]),
        node(2, "MUL", [2, 11], [3]),
        node(3, "ADD", [3, 1], [4]),
        node(4, "DELEGATE", [0, 10], [1]),
        node(5, "DELEGATE", [2, 11, 1], [4]),
    ]
    kernels = kernels_of(b"", "litert", nodes)
    assert kernels.fast == 3 and kernels.others == {"TOPK_V2": 1}
    assert kernels.description == (
        "XNNPACK runs 3 of 4 operators in 2 parts; LiteRT's built-in kernels run 1 TOPK_V2"
    )


def test_no_delegate():
    kernels = kernels_of(b"", "litert", [node(0, "ADD", [0, 1], [2]), node(1, "ADD", [2, 2], [3])])
    assert kernels.fast == 0 and kernels.others == {"ADD": 2}


def test_a_file_that_xnnpack_runs_whole():
    kernels = load_runtime(stock_files.float_file()).kernels()
    assert kernels.others == {} and kernels.fast >= 4
    assert kernels.description.endswith("operators in 1 part")


def test_a_file_with_an_operator_that_xnnpack_lacks():
    kernels = load_runtime(stock_files.divided_file()).kernels()
    assert kernels.others == {"CUMSUM": 1} and kernels.fast == 3
    assert "in 2 parts; LiteRT's built-in kernels run 1 CUMSUM" in kernels.description


@pytest.mark.parametrize("machine", ["x86_64", "AMD64"])
def test_lce_on_x86(machine, exported, monkeypatch):
    monkeypatch.setattr("platform.machine", lambda: machine)
    kernels = kernels_of(exported.flatbuffer, "lce", [])
    assert kernels.fast == 0 and kernels.others == exported.report.operators
    assert "LCE has no x86 kernels" in kernels.description


def test_lce_on_arm(exported, monkeypatch):
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    kernels = kernels_of(exported.flatbuffer, "lce", [])
    assert kernels.fast == 2 and "LceBconv2d" not in kernels.others
    total = sum(exported.report.operators.values())
    assert f"LCE's ARM kernels run 2 of {total} operators" in kernels.description
