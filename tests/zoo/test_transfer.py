"""One attempt: what it asks for and where it goes on. Servers that misbehave: test_download.py."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from zoo.transfer import DiskError, TransferError, transfer


def test_appends_what_is_lacking(mirrors: Any, tmp_path: Path) -> None:
    mirror = mirrors(b"0123456789")
    (tmp_path / "part").write_bytes(b"abcd")
    transfer(mirror.url(), tmp_path / "part", 10, 5)
    assert (tmp_path / "part").read_bytes() == b"abcd456789"
    assert mirror.ranges == ["bytes=4-"]


def test_begins_again_where_ranges_are_ignored(mirrors: Any, tmp_path: Path) -> None:
    mirror = mirrors(b"0123456789", "ignores_ranges")
    (tmp_path / "part").write_bytes(b"abcd")
    transfer(mirror.url(), tmp_path / "part", None, 5)
    assert (tmp_path / "part").read_bytes() == b"0123456789"


@pytest.mark.parametrize(("behaviour", "resumable"), [("cuts", True), ("longer", False)])
def test_says_whether_going_on_makes_sense(
    behaviour: str, resumable: bool, mirrors: Any, tmp_path: Path
) -> None:
    with pytest.raises(TransferError) as caught:
        transfer(mirrors(b"0123456789", behaviour).url(), tmp_path / "part", 10, 5)
    assert caught.value.resumable is resumable


def test_a_part_that_the_server_rejects_is_removed(mirrors: Any, tmp_path: Path) -> None:
    (tmp_path / "part").write_bytes(b"abcd")
    with pytest.raises(TransferError, match="HTTP 416"):
        transfer(mirrors(behaviour="range_refused").url(), tmp_path / "part", None, 5)
    assert not (tmp_path / "part").exists()


def test_nobody_listens(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(TransferError, match="refused"):
        transfer(f"http://127.0.0.1:{port}/a", tmp_path / "part", None, 5)


@pytest.mark.parametrize("url", ["file:///etc/hostname", "ftp://127.0.0.1/a", "http://[bad/a"])
def test_nothing_but_http(url: str, tmp_path: Path) -> None:
    with pytest.raises((TransferError, ValueError)):
        transfer(url, tmp_path / "part", None, 1)
    assert not (tmp_path / "part").exists()


def test_a_part_that_cannot_be_written(mirrors: Any, tmp_path: Path) -> None:
    with pytest.raises(DiskError) as caught:
        transfer(mirrors().url(), tmp_path / "none" / "part", None, 5)
    assert isinstance(caught.value.error, FileNotFoundError)
