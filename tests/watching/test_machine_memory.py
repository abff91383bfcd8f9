"""Free memory in made-up machines, and of this one."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from burn_tf.watching.machine_memory import (
    free_bytes,
    give_back,
    peak_resident_bytes,
    resident_bytes,
)

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
KIB, MIB = 1024, 1024**2


def write(root: Path, **files: str) -> None:
    for name, text in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    write(tmp_path, proc__meminfo="MemTotal: 4096 kB\nMemAvailable:   3000 kB\n")
    return tmp_path


def group(folder: Path, names: tuple[str, str], limit: str, used: int, stat: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / names[0]).write_text(limit + "\n")
    (folder / names[1]).write_text(f"{used}\n")
    (folder / "memory.stat").write_text(stat)


V1 = ("memory.limit_in_bytes", "memory.usage_in_bytes")
V2 = ("memory.max", "memory.current")


def test_without_groups(machine: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    assert free_bytes(machine) == 3000 * KIB
    assert free_bytes(tmp_path_factory.mktemp("empty")) is None


def test_cgroup_2_and_the_groups_around_it(machine: Path) -> None:
    write(machine, proc__self__cgroup="0::/job/step\n")
    top = machine / "sys/fs/cgroup"
    group(top / "job/step", V2, "max", 100, "inactive_file 7\n")
    assert free_bytes(machine) == 3000 * KIB
    group(top / "job", V2, "1000000", 900_000, "anon 5\ninactive_file 60000\n")
    assert free_bytes(machine) == 160_000
    group(top / "job/step", V2, "500000", 499_000, "inactive_file 0\n")
    assert free_bytes(machine) == 1_000


def test_cgroup_2_seen_from_a_container(machine: Path) -> None:
    # The path is the host's; what is mounted is the container's own group.
    write(machine, proc__self__cgroup="0::/kubepods/pod1/abc\n")
    group(machine / "sys/fs/cgroup", V2, "2000000", 500_000, "inactive_file 0\n")
    assert free_bytes(machine) == 1_500_000


def test_cgroup_1(machine: Path) -> None:
    write(machine, proc__self__cgroup="5:cpu,cpuacct:/\n4:memory:/docker/1\n0::/\n")
    place = machine / "sys/fs/cgroup/memory/docker/1"
    group(place, V1, "9223372036854771712", 10, "total_inactive_file 3\n")
    assert free_bytes(machine) == 3000 * KIB
    group(place, V1, "100000", 120_000, "inactive_file 9\ntotal_inactive_file 30000\n")
    assert free_bytes(machine) == 10_000
    group(place, V1, "100000", 120_000, "total_inactive_file 0\n")
    assert free_bytes(machine) == 0


@LINUX
def test_memory_of_this_process() -> None:
    before = resident_bytes()
    assert before is not None and before > MIB
    block = np.ones(64 * MIB, np.uint8)
    held, peak = resident_bytes(), peak_resident_bytes()
    assert held is not None and peak is not None
    assert 60 * MIB < held - before < 70 * MIB
    assert peak >= held - MIB
    assert block[-1] == 1
    assert resident_bytes(2**30) is None


@LINUX
def test_freed_memory_is_given_back() -> None:
    give_back()
    before = resident_bytes()
    # Small pieces come from the heap, whose last piece stays: it cannot simply shrink.
    pieces = [bytearray(50_000) for _ in range(2000)]
    last = pieces[-1]
    del pieces
    give_back()
    after = resident_bytes()
    assert before is not None and after is not None and len(last) == 50_000
    assert after - before < 20 * MIB
