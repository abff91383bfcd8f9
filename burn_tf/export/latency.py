"""How long a file takes on this machine, how much memory, in which operators and kernels."""

from __future__ import annotations

import dataclasses
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from burn_tf._checks import UserError, check_integer
from burn_tf.export.isolation import call_isolated
from burn_tf.export.machine import Machine, describe_machine
from burn_tf.export.runtime import Runtime, load_runtime

# Runs in a row of one file, before the next has its turn.
_TURN = 5
_MEMORY_RUNS = 3
_PROFILED_RUNS = 10
_SHOWN_OPERATORS = 12
_MEMORY = "growth of a fresh process's peak resident memory from before the file is read"
_LCE_SILENT = "LCE's interpreter does not tell times per operator"


@dataclasses.dataclass(frozen=True)
class Latency:
    """Time of one run.

    Args:
        threads: Threads of the interpreter; 0 where they are not ours to choose.
        median_ms: The middle run, in milliseconds.
        p90_ms: Nine runs of ten take at most this long.
        runs: How many runs were timed.
    """

    threads: int
    median_ms: float
    p90_ms: float
    runs: int


@dataclasses.dataclass(frozen=True)
class OperatorTime:
    """Time in one kind of kernel.

    Args:
        name: The kernel, as the runtime names it.
        count: Operators that use it.
        milliseconds: Time of all these in one run, while the runtime takes its own times.
        delegated: Whether it is XNNPACK's.
    """

    name: str
    count: int
    milliseconds: float
    delegated: bool


@dataclasses.dataclass(frozen=True)
class LatencyReport:
    """What one file costs on this machine.

    Args:
        runtime: "lce" or "litert".
        size_bytes: Size of the file.
        latencies: One per number of threads.
        peak_memory_bytes: Growth of a fresh process's peak resident memory, in the first number of
            threads, from before the file is read until it has run; the runtime's own libraries
            left out.
        operators: Time per kind of kernel, the slowest first; empty where `operators_note` says
            why.
        operators_note: How the times were taken, or why there are none.
        kernels: Which kernels ran, in words.
        machine: Where.
    """

    runtime: str
    size_bytes: int
    latencies: tuple[Latency, ...]
    peak_memory_bytes: int
    operators: tuple[OperatorTime, ...]
    operators_note: str
    kernels: str
    machine: Machine

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON types."""
        return dataclasses.asdict(self) | {
            "latencies": [dataclasses.asdict(latency) for latency in self.latencies],
            "operators": [dataclasses.asdict(operator) for operator in self.operators],
        }

    def __str__(self) -> str:
        return "\n".join(
            [
                f"Runtime: {self.runtime}; {self.size_bytes:,} bytes",
                f"Machine: {self.machine}",
                f"Kernels: {self.kernels}",
                *map(_latency_line, self.latencies),
                f"Memory: {self.peak_memory_bytes / 2**20:.1f} MiB ({_MEMORY})",
                f"Operators: {self.operators_note}",
                *_operator_lines(self.operators),
            ]
        )


def _latency_line(latency: Latency) -> str:
    return (
        f"Latency: {latency.median_ms:.2f} ms median, {latency.p90_ms:.2f} ms p90 "
        f"({latency.threads} thread{'s'[: latency.threads != 1]}, {latency.runs} runs)"
    )


def _operator_lines(operators: Sequence[OperatorTime]) -> list[str]:
    # The runtime's clock counts whole microseconds: in a tiny file all may be 0.
    total = sum(operator.milliseconds for operator in operators) or 1.0
    lines = [
        f"  {row.milliseconds:9.3f} ms  {row.milliseconds / total:6.1%}  {row.count:>4} x  "
        f"{row.name}{'' if row.delegated else ' (built-in kernel)'}"
        for row in operators[:_SHOWN_OPERATORS]
    ]
    left = len(operators) - len(lines)
    return [*lines, f"  and {left} more kinds"] if left else lines


def time_calls(
    calls: Mapping[str, Callable[[], object]], *, runs: int, warmup: int, threads: int
) -> dict[str, Latency]:
    """Time functions side by side: they take turns, so that a busy machine slows them all alike.

    Args:
        calls: Name -> what is timed.
        runs: Timed calls of each, at least 1.
        warmup: Calls of each before the first turn.
        threads: What the result says of the threads.

    Returns:
        Median and 90th percentile for each name.

    Raises:
        UserError: `runs` or `warmup` are out of range.
    """
    check_integer("runs", runs, low=1)
    check_integer("warmup", warmup, low=0)
    for call in calls.values():
        for _ in range(warmup):
            call()
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for start in range(0, runs, _TURN):
        for name, call in calls.items():
            for _ in range(min(_TURN, runs - start)):
                before = time.perf_counter()
                call()
                seconds[name].append(time.perf_counter() - before)
    return {name: _latency(taken, threads) for name, taken in seconds.items()}


def _latency(seconds: Sequence[float], threads: int) -> Latency:
    median, p90 = np.percentile(np.asarray(seconds) * 1e3, [50, 90])
    return Latency(threads, float(median), float(p90), len(seconds))


def memory_of(flatbuffer: bytes, runtime: str, *, threads: int = 1) -> int:
    """Bytes that a file adds to the peak resident memory of a fresh process.

    Args:
        flatbuffer: Bytes of the file.
        runtime: The runtime it needs, "lce" or "litert".
        threads: Threads of the interpreter.

    Raises:
        UserError: the process that measures fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.tflite"
        path.write_bytes(flatbuffer)
        return int(call_isolated("memory.peak_memory", str(path), runtime, threads, _MEMORY_RUNS))


def operators_of(
    flatbuffer: bytes, runtime: str, *, threads: int = 1
) -> tuple[tuple[OperatorTime, ...], str]:
    """Time per kind of kernel, and how it was taken or why there is none.

    Args:
        flatbuffer: Bytes of the file.
        runtime: The runtime it needs, "lce" or "litert".
        threads: Threads that run it.
    """
    if runtime == "lce":
        return (), _LCE_SILENT
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.tflite"
        path.write_bytes(flatbuffer)
        arguments = (str(path), threads, _PROFILED_RUNS, 2)
        try:
            rows = call_isolated("litert_profiler.operator_times", *arguments)
        except UserError as error:
            return (), f"LiteRT's profiler told nothing: {error}"
    total = sum(row["milliseconds"] for row in rows)
    note = (
        f"LiteRT's own profiler, {threads} thread{'s'[: threads != 1]}, mean of "
        f"{_PROFILED_RUNS} runs, {total:.2f} ms in all"
    )
    return tuple(OperatorTime(**row) for row in rows), note


def compare(
    files: Mapping[str, bytes],
    *,
    threads: Sequence[int] = (1, 2),
    runs: int = 30,
    warmup: int = 3,
) -> dict[str, LatencyReport]:
    """Measure files side by side in one run.

    Args:
        files: Name -> bytes of a .tflite file for one image at a time.
        threads: Numbers of threads to measure, each at least 1; default 1 and 2 (ours).
        runs: Timed runs per file and number of threads; default 30 (ours).
        warmup: Runs before these; default 3 (ours).

    Returns:
        A report per name. Files take turns of five runs. Memory and times per operator are taken
        one file after the other, each in a process of its own.

    Raises:
        UserError: a file cannot be loaded, or an argument is out of range.

    Example:
        >>> from burn_tf import backbones, export
        >>> from burn_tf.export.latency import compare
        >>> model = backbones.ReActNetTiny(input_shape=(16, 16, 3), classes=10)
        >>> folded, plain = (export.to_lce(model, fold=f).flatbuffer for f in (True, False))
        >>> sorted(compare({"folded": folded, "plain": plain}, threads=[1], runs=5))
        ['folded', 'plain']

    Source: ours.
    Departs from source: none.
    """
    if not files or not threads:
        raise UserError(
            "`files` and `threads` must have at least one entry each. "
            f"Received: {len(files)} files, threads={list(threads)}"
        )
    latencies: dict[str, list[Latency]] = {name: [] for name in files}
    for count in dict.fromkeys(threads):
        loaded = {name: load_runtime(data, num_threads=count) for name, data in files.items()}
        calls = {name: runtime.invoke for name, runtime in loaded.items()}
        timed = time_calls(calls, runs=runs, warmup=warmup, threads=count)
        for name, latency in timed.items():
            latencies[name].append(latency)
    return {
        name: _report(data, loaded[name], latencies[name], threads[0])
        for name, data in files.items()
    }


def _report(
    flatbuffer: bytes, runtime: Runtime, latencies: Sequence[Latency], threads: int
) -> LatencyReport:
    operators, note = operators_of(flatbuffer, runtime.name, threads=threads)
    return LatencyReport(
        runtime=runtime.name,
        size_bytes=len(flatbuffer),
        latencies=tuple(latencies),
        peak_memory_bytes=memory_of(flatbuffer, runtime.name, threads=threads),
        operators=operators,
        operators_note=note,
        kernels=runtime.kernels().description,
        machine=describe_machine(),
    )


def measure(
    flatbuffer: bytes, *, threads: Sequence[int] = (1, 2), runs: int = 30, warmup: int = 3
) -> LatencyReport:
    """Measure one file; `compare` with one file.

    Args:
        flatbuffer: Bytes of a .tflite file for one image at a time.
        threads, runs, warmup: As those of `compare`.

    Returns:
        Latency, memory, time per operator where the runtime can tell, and which kernels ran.

    Raises:
        UserError: the file cannot be loaded, or an argument is out of range.

    Example:
        >>> from burn_tf.backbones import ReActNetTiny
        >>> from burn_tf.export import latency, to_lce
        >>> flatbuffer = to_lce(ReActNetTiny((16, 16, 3))).flatbuffer
        >>> latency.measure(flatbuffer, threads=[1], runs=5).latencies[0].runs
        5

    Source: ours.
    Departs from source: none.
    """
    return compare({"file": flatbuffer}, threads=threads, runs=runs, warmup=warmup)["file"]
