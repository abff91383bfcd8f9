"""Peak memory of one file in its runtime; to be called in a fresh process."""

from __future__ import annotations

import sys
from pathlib import Path

from burn_tf.export.interpreters import import_runtime
from burn_tf.export.runtime import Runtime

_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_RESET_PEAK = "5"
_KIB = 1024


def _peak_of_process() -> int:
    """Greatest resident size of this process in bytes.

    On Linux not `ru_maxrss`: a new process begins with that of the process which started it.
    """
    if _STATUS.exists():
        rows = dict(line.split(":", 1) for line in _STATUS.read_text().splitlines())
        return int(rows["VmHWM"].split()[0]) * _KIB
    import resource  # There is none on Windows.

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * _KIB


def peak_memory(path: str, runtime: str, num_threads: int, runs: int) -> int:
    """Bytes by which reading, loading and running a file raise this process's peak memory.

    The runtime's libraries are loaded before, so that they do not count; the file's own bytes do.

    Args:
        path: The file.
        runtime: "lce" or "litert".
        num_threads: Threads that run it.
        runs: How often it is run.
    """
    import_runtime(runtime)
    if _RESET.exists():
        _RESET.write_text(_RESET_PEAK)
    before = _peak_of_process()
    loaded = Runtime(Path(path).read_bytes(), runtime, num_threads)
    for _ in range(runs):
        loaded.invoke()
    return _peak_of_process() - before
