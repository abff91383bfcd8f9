"""Time per kernel from LiteRT's own profiler, which its Python package has no function for.

The package ships LiteRT's C library, and that has the profiler: here it is called by name. The C
interface has changed between versions without a change of names, so that a call may end the
process: run this in a process of its own (`burn_tf.export.isolation`).
"""

from __future__ import annotations

import ctypes
import re
from pathlib import Path
from typing import Any

from burn_tf._checks import UserError
from burn_tf.export.interpreters import import_runtime

_CPU = 1
# Names under which LiteRT looks up options that are passed as text.
_RUNTIME_OPTIONS, _CPU_OPTIONS = b"runtime_options_string", b"xnnpack"
# A tensor's type in C: element type, rank, eight sides, strides. An open side is -1.
_TYPE_NUMBERS, _SIDES, _OPEN = 64, range(2, 10), -1
_DELEGATED = "Delegate/"
_TABLE = "Summary by node type"
# Name, count, mean ms, share, sum of shares, memory, calls.
_ROW = re.compile(r"^\s*(.+?)\s+(\d+)\s+([\d.]+)\s+[\d.]+%\s+[\d.]+%\s+[\d.]+\s+(\d+)$")


class _Library:
    """LiteRT's C functions; every one returns 0 where it succeeded."""

    def __init__(self) -> None:
        folder = Path(import_runtime("litert").__file__).parent
        found = [path for path in folder.iterdir() if path.stem in ("libLiteRt", "LiteRt")]
        if not found:
            raise UserError(
                "time per operator needs LiteRT's C library: pip install 'ai-edge-litert>=2.3'. "
                f"Received: none in {folder.name}"
            )
        self._functions = ctypes.CDLL(str(found[0]))

    def call(self, name: str, *arguments: Any) -> None:
        function = getattr(self._functions, f"LiteRt{name}", None)
        if function is None:
            raise UserError(
                "time per operator needs another LiteRT: pip install 'ai-edge-litert>=2.3'. "
                f"Received: a library without LiteRt{name}"
            )
        status = int(function(*arguments))
        if status:
            raise UserError(
                "LiteRT's profiler refuses the file: measure it without times per operator. "
                f"Received: status {status} from LiteRt{name}"
            )

    def make(self, name: str, *arguments: Any) -> ctypes.c_void_p:
        """Call a function whose last argument is where it puts an object."""
        place = ctypes.c_void_p()
        self.call(name, *arguments, ctypes.byref(place))
        return place


def _add_text(library: _Library, options: ctypes.c_void_p, name: bytes, text: bytes) -> None:
    process = ctypes.CDLL(None)
    process.strdup.restype = ctypes.c_void_p
    # LiteRT frees the copy.
    copy = ctypes.c_void_p(process.strdup(text))
    item = library.make("CreateOpaqueOptions", name, copy, process.free)
    library.call("AddOpaqueOptions", options, item)


def _compiled(
    library: _Library, environment: ctypes.c_void_p, model: ctypes.c_void_p, num_threads: int
) -> ctypes.c_void_p:
    options = library.make("CreateOptions")
    library.call("SetOptionsHardwareAccelerators", options, ctypes.c_int(_CPU))
    _add_text(library, options, _RUNTIME_OPTIONS, b"enable_profiling = true\n")
    _add_text(library, options, _CPU_OPTIONS, b"num_threads = %d\n" % num_threads)
    return library.make("CreateCompiledModel", environment, model, options)


def _buffers(
    library: _Library,
    environment: ctypes.c_void_p,
    model: ctypes.c_void_p,
    compiled: ctypes.c_void_p,
    side: str,
) -> Any:
    """One buffer per input or output of the first signature, as a C array."""
    signature = library.make("GetModelSignature", model, ctypes.c_size_t(0))
    count = ctypes.c_size_t()
    library.call(f"GetNumSignature{side}s", signature, ctypes.byref(count))
    buffers = (ctypes.c_void_p * count.value)()
    for index in range(count.value):
        place = ctypes.c_size_t(index)
        tensor = library.make(f"GetSignature{side}TensorByIndex", signature, place)
        kind = (ctypes.c_int32 * _TYPE_NUMBERS)()
        library.call("GetRankedTensorType", tensor, kind)
        for side_index in _SIDES:
            kind[side_index] = 1 if kind[side_index] == _OPEN else kind[side_index]
        needs = library.make(
            f"GetCompiledModel{side}BufferRequirements", compiled, ctypes.c_size_t(0), place
        )
        buffers[index] = library.make(
            "CreateManagedTensorBufferFromRequirements", environment, kind, needs
        ).value
    return buffers


def _summary(path: str, num_threads: int, runs: int, warmup: int) -> str:
    library = _Library()
    environment = library.make("CreateEnvironment", ctypes.c_int(0), None)
    model = library.make("CreateModelFromFile", environment, path.encode())
    compiled = _compiled(library, environment, model, num_threads)
    sides = [_buffers(library, environment, model, compiled, side) for side in ("Input", "Output")]
    arguments = [part for side in sides for part in (ctypes.c_size_t(len(side)), side)]
    profiler = library.make("CompiledModelGetProfiler", compiled)
    for index in range(warmup + runs):
        if index == warmup:
            library.call("ResetProfiler", profiler)
            library.call("StartProfiler", profiler)
        library.call("RunCompiledModel", compiled, ctypes.c_size_t(0), *arguments)
    library.call("StopProfiler", profiler)
    text = library.make("GetProfileSummary", profiler, compiled)
    return ctypes.string_at(text.value or 0).decode()


def read_summary(summary: str, runs: int) -> list[dict[str, Any]]:
    """The rows of the profiler's table of node types, the slowest first.

    Args:
        summary: The text that LiteRT's profiler writes.
        runs: How often the file was run.

    Returns:
        Per kernel its name, whether XNNPACK ran it, how many operators use it, and the
        milliseconds that all of them take in one run.
    """
    lines = summary.partition(_TABLE)[2].strip().splitlines()[2:]
    found = []
    for match in map(_ROW.match, lines):
        if match is None:
            break
        name, count, mean, calls = match.groups()
        found.append(
            {
                "name": name.removeprefix(_DELEGATED),
                "delegated": name.startswith(_DELEGATED),
                "count": int(count),
                "milliseconds": float(mean) * int(calls) / runs,
            }
        )
    return sorted(found, key=lambda row: -row["milliseconds"])


def operator_times(path: str, num_threads: int, runs: int, warmup: int) -> list[dict[str, Any]]:
    """Time per kernel of a file in LiteRT; as `read_summary` gives it.

    Args:
        path: The file.
        num_threads: Threads that run it.
        runs: Timed runs, at least 1.
        warmup: Runs before these.

    Raises:
        UserError: the LiteRT that is installed has no profiler, or refuses the file.
    """
    return read_summary(_summary(path, num_threads, runs, warmup), runs)
