"""Which kernels run a file on this machine."""

from __future__ import annotations

import dataclasses
import platform
from collections import Counter
from typing import Any

from burn_tf.export.flatbuffer import read_flatbuffer

_LCE_CONVOLUTION = "LceBconv2d"
_X86 = ("x86_64", "amd64", "i686", "i386", "x86")
# What LiteRT's interpreter calls the node that a delegate puts in place of those it runs.
_DELEGATE = "DELEGATE"


@dataclasses.dataclass(frozen=True)
class Kernels:
    """Which kernels run a file on this machine.

    Args:
        fast: Number of operators that run in the kernels the file was made for: XNNPACK's, or
            LCE's own on ARM.
        others: Operator name -> how many of it run in the runtime's general kernels.
        description: The same in words.
    """

    fast: int
    others: dict[str, int]
    description: str


def _delegated(nodes: list[dict[str, Any]]) -> set[int]:
    """Indices of the operators that lie between the inputs and outputs of delegate nodes."""
    made_by = {
        int(tensor): node["index"]
        for node in nodes
        if node["op_name"] != _DELEGATE
        for tensor in node["outputs"]
    }
    by_index = {node["index"]: node for node in nodes}
    found: set[int] = set()
    for delegate in (node for node in nodes if node["op_name"] == _DELEGATE):
        border = {int(tensor) for tensor in delegate["inputs"]}
        waiting = [int(tensor) for tensor in delegate["outputs"]]
        while waiting:
            index = made_by.get(waiting.pop())
            if index is not None and index not in found:
                found.add(index)
                inside = (int(tensor) for tensor in by_index[index]["inputs"])
                waiting.extend(tensor for tensor in inside if tensor not in border)
    return found


def kernels_of(flatbuffer: bytes, runtime: str, nodes: list[dict[str, Any]]) -> Kernels:
    """Which kernels run a file on this machine.

    Args:
        flatbuffer: Bytes of the file.
        runtime: "lce" or "litert".
        nodes: What LiteRT's interpreter says of its nodes; LCE's says nothing.
    """
    if runtime == "litert":
        return _litert_kernels(nodes)
    return _lce_kernels(Counter(read_flatbuffer(flatbuffer).counts()), platform.machine())


def _litert_kernels(nodes: list[dict[str, Any]]) -> Kernels:
    fast = _delegated(nodes)
    own = [node for node in nodes if node["op_name"] != _DELEGATE]
    others = dict(Counter(n["op_name"] for n in own if n["index"] not in fast))
    parts = len(nodes) - len(own)
    text = f"XNNPACK runs {len(fast)} of {len(own)} operators in {parts} part{'s'[: parts != 1]}"
    if others:
        listed = ", ".join(f"{count} {name}" for name, count in sorted(others.items()))
        text += f"; LiteRT's built-in kernels run {listed}"
    return Kernels(len(fast), others, text)


def _lce_kernels(counts: Counter[str], machine: str) -> Kernels:
    binary = counts[_LCE_CONVOLUTION]
    if machine.lower() in _X86:
        text = (
            f"LCE has no x86 kernels: portable C++ runs its {binary} binary convolutions here, and "
            "their speed is on ARM; TFLite's built-in kernels run the others"
        )
        return Kernels(0, dict(counts), text)
    others = {name: count for name, count in counts.items() if name != _LCE_CONVOLUTION}
    text = (
        f"LCE's ARM kernels run {binary} of {counts.total()} operators, and TFLite's built-in "
        "kernels the others"
    )
    return Kernels(binary, others, text)
