"""The machine and the versions that a measurement was made with."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import os
import platform
from pathlib import Path

_CPU_INFO = Path("/proc/cpuinfo")
_MODEL_ROWS = ("model name", "Model", "Hardware")
_PACKAGES = ("ai-edge-litert", "larq-compute-engine", "tensorflow")


@dataclasses.dataclass(frozen=True)
class Machine:
    """What a latency depends on besides the file.

    Args:
        cpu: The processor's model, as the system names it.
        cores: Logical cores that this process may use.
        system: Operating system and architecture.
        versions: Package -> version, of Python and of the installed runtimes.
    """

    cpu: str
    cores: int
    system: str
    versions: dict[str, str]

    def __str__(self) -> str:
        versions = ", ".join(f"{name} {version}" for name, version in self.versions.items())
        return f"{self.cpu}, {self.cores} cores, {self.system}; {versions}"


def _cpu_of(text: str) -> str:
    """The model in the text of /proc/cpuinfo, or an empty string."""
    rows = (line.partition(":") for line in text.splitlines())
    named = {name.strip(): value.strip() for name, _, value in reversed(list(rows))}
    return next((named[row] for row in _MODEL_ROWS if named.get(row)), "")


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _installed(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def describe_machine() -> Machine:
    """This machine and the versions of Python and the runtimes that are installed."""
    text = _CPU_INFO.read_text(encoding="utf-8") if _CPU_INFO.exists() else ""
    found = {package: _installed(package) for package in _PACKAGES}
    versions = {name: version for name, version in found.items() if version is not None}
    return Machine(
        cpu=_cpu_of(text) or platform.processor() or platform.machine(),
        cores=_cores(),
        system=f"{platform.system()} {platform.machine()}",
        versions={"python": platform.python_version()} | versions,
    )
