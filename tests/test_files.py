"""Files are read whole, and written whole or not at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from burn_tf._checks import UserError
from burn_tf._files import atomic_path, atomic_write, read_whole, remove_unfinished


def test_writes_text_and_bytes(tmp_path: Path) -> None:
    atomic_write(tmp_path / "sub" / "a.txt", "grün")
    atomic_write(tmp_path / "b.bin", b"\x00\x01")
    assert (tmp_path / "sub" / "a.txt").read_bytes() == "grün".encode()
    assert (tmp_path / "b.bin").read_bytes() == b"\x00\x01"


def test_failure_keeps_the_old_file_and_leaves_nothing(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(OSError, match="disk full"), atomic_path(target) as temporary:
        temporary.write_text("half")
        raise OSError("disk full")
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("kind", ["folder", "pipe", "link to a pipe"])
def test_only_a_file_is_replaced(kind: str, tmp_path: Path) -> None:
    target, pipe = tmp_path / "target", tmp_path / "pipe"
    os.mkfifo(pipe)
    target = {"folder": tmp_path, "pipe": pipe}.get(kind, target)
    if kind == "link to a pipe":
        target.symlink_to(pipe)
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(UserError, match="cannot take the place of a folder, device or pipe"):
        atomic_write(target, "text")
    assert sorted(os.listdir(tmp_path)) == before and pipe.is_fifo()


@pytest.mark.parametrize("there", [True, False])
def test_a_link_stays_and_leads_to_what_was_written(there: bool, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    link, file = tmp_path / "a.txt", tmp_path / "disk" / "real.txt"
    if there:
        file.write_text("old")
    link.symlink_to(file)
    atomic_write(link, "new")
    assert link.is_symlink() and file.read_text() == "new"
    assert sorted(os.listdir(tmp_path)) == ["a.txt", "disk"]


def test_a_full_disk_is_told_with_the_file(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    with pytest.raises(OSError, match="No space") as found, atomic_path(target):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert found.value.filename == str(target) and os.listdir(tmp_path) == []
    with pytest.raises(OSError, match="broken") as found, atomic_path(target):
        raise OSError(errno.ECONNRESET, "broken")
    assert found.value.filename is None


def test_permissions_follow_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        atomic_write(tmp_path / "a.txt", "x")
    finally:
        os.umask(before)
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == 0o640


def test_reads_whole(tmp_path: Path) -> None:
    (tmp_path / "b.bin").write_bytes(b"\x00\x01")
    assert read_whole(tmp_path / "b.bin") == b"\x00\x01"


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot read '.*absent': check the path"):
        read_whole(tmp_path / "absent")
    with pytest.raises(UserError, match="directory"):
        read_whole(tmp_path)


def test_what_a_killed_writer_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "a[1].npy"
    others = [".a[1].txt", ".a1.kil_led1.npy", "a[1].kil_led1.npy", ".a[1].kil_led1.txt"]
    with atomic_path(target) as temporary:
        left = temporary.with_name(temporary.name.replace(temporary.name[-12:-4], "kil_led1"))
        left.write_bytes(b"half")
        for other in others:
            (tmp_path / other).write_bytes(b"")
    assert left.exists()
    remove_unfinished(target)
    others = [
        ".a1.kil_led1.npy",
        ".a[1].kil_led1.txt",
        ".a[1].txt",
        "a[1].kil_led1.npy",
        "a[1].npy",
    ]
    assert sorted(os.listdir(tmp_path)) == sorted(others)
