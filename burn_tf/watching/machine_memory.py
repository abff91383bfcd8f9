"""Memory of this process and of the machine, in bytes."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

_KIB = 1024
# Of each version of cgroups: where they may lie, and the files of the limit and of what is used.
_MOUNTS = {2: ("sys/fs/cgroup", "sys/fs/cgroup/unified"), 1: ("sys/fs/cgroup/memory",)}
_FILES = {
    2: ("memory.max", "memory.current"),
    1: ("memory.limit_in_bytes", "memory.usage_in_bytes"),
}
# The row of memory.stat that says what of it the kernel can give back.
_CACHE = {2: "inactive_file", 1: "total_inactive_file"}


def resident_bytes(pid: int | None = None) -> int | None:
    """Memory that a process (None: this one) holds now; None where the system does not say."""
    return _status_bytes("self" if pid is None else str(pid), "VmRSS")


def peak_resident_bytes() -> int | None:
    """The most that this process has held; None where the system does not say.

    On Linux not `ru_maxrss`: a new process begins with that of the process which started it.
    """
    found = _status_bytes("self", "VmHWM")
    if found is not None or sys.platform == "win32":
        return found
    import resource  # There is none on Windows.

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * _KIB


def give_back() -> None:
    """Return what this process has freed to the system, where its C library keeps it (glibc)."""
    gc.collect()
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        if hasattr(libc, "malloc_trim"):
            libc.malloc_trim(0)


def free_bytes(root: str | os.PathLike[str] = "/") -> int | None:
    """Memory that this process can still take without swapping; None where nobody says.

    The least of what the system has available and of what the process's cgroups (version 1 and 2,
    and those around them) leave, counting file caches as free.

    Args:
        root: of the file system.
    """
    top = Path(root)
    rooms = list(_rooms(top))
    rows = _rows(top / "proc/meminfo")
    if "MemAvailable" in rows:
        rooms.append(int(rows["MemAvailable"].split()[0]) * _KIB)
    return max(min(rooms), 0) if rooms else None


def _status_bytes(process: str, row: str) -> int | None:
    rows = _rows(Path("/proc") / process / "status")
    return int(rows[row].split()[0]) * _KIB if row in rows else None


def _rows(path: Path) -> dict[str, str]:
    """The rows "name: value" of a file; none where there is no such file."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    return dict(line.split(":", 1) for line in lines if ":" in line)


def _rooms(root: Path) -> Iterator[int]:
    for version, group in _groups(root / "proc/self/cgroup"):
        for mount in _MOUNTS[version]:
            # In a container the path may be that of the host: what is mounted is then our own.
            for folder in [group, *PurePosixPath(group).parents]:
                room = _room(root / mount / str(folder).lstrip("/"), version)
                if room is not None:
                    yield room


def _groups(path: Path) -> Iterator[tuple[int, str]]:
    """(version, path) of the cgroups of this process that may limit memory."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        number, controllers, group = line.split(":", 2)
        if number == "0" and not controllers:
            yield 2, group
        elif "memory" in controllers.split(","):
            yield 1, group


def _room(folder: Path, version: int) -> int | None:
    """What a cgroup leaves, or None where it has no limit."""
    limit, usage = _FILES[version]
    try:
        most = (folder / limit).read_text(encoding="utf-8").strip()
        used = int((folder / usage).read_text(encoding="utf-8"))
        stat = (folder / "memory.stat").read_text(encoding="utf-8")
    except OSError:
        return None
    if most == "max":
        return None
    rows = dict(line.split() for line in stat.splitlines() if line.strip())
    return int(most) - used + int(rows.get(_CACHE[version], 0))
