"""Whatever a server does, the caller gets the right file or one line, and the cache stays clean."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from burn_tf._checks import UserError
from zoo import download, transfer
from zoo.manifest import WeightFile

ROOT = Path(__file__).resolve().parents[2]
CONTENT = bytes(range(256)) * 400
SHA256 = hashlib.sha256(CONTENT).hexdigest()
Mirrors = Callable[..., Any]


def wanted(*urls: str) -> WeightFile:
    return WeightFile("weights.bin", len(CONTENT), SHA256, urls)


def left_in(cache: Path) -> list[str]:
    return sorted(path.name for path in cache.rglob("*") if path.is_file())


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(UserError) as caught:
        call()
    message = str(caught.value)
    assert message.isprintable() and "Received: " in message
    return message


def test_downloads_once(mirrors: Mirrors, cache: Path) -> None:
    mirror = mirrors()
    path = download.fetch(wanted(mirror.url()))
    assert path.read_bytes() == CONTENT
    assert path == cache / "weights" / SHA256[:16] / "weights.bin"
    assert download.fetch(wanted(mirror.url())) == path
    assert mirror.ranges == [None]
    assert left_in(cache) == ["weights.bin"]


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        ("missing", "HTTP 404"),
        ("busy", "HTTP 503"),
        ("silent", "no answer for 0.3 s"),
        ("stalls", "silence for 0.3 s after 51200 bytes of 102400"),
        ("trickles", "silence for 0.3 s after"),
        ("cuts_without_ranges", "an end after 51200 bytes of 102400"),
        ("lies", "SHA-256 "),
        ("longer", "more bytes than the file has"),
        ("other_range", "another part of the file"),
        ("redirects_to_file", "is not allowed"),
        ("redirects_in_circles", "infinite loop"),
        ("slow_head", "no answer for 0.3 s"),
        ("slow_chunks", "silence for 0.3 s"),
        ("reason", "HTTP 404 [2JNot here"),
        ("gzipped", "a compressed answer"),
        ("half", "an end after 51200 bytes of 102400"),
        ("page", "a file of 37 bytes in place of 102400"),
    ],
)
class TestBadServer:
    def test_is_one_line_and_the_next_mirror_helps(
        self, behaviour: str, reason: str, mirrors: Mirrors, cache: Path
    ) -> None:
        bad, good = mirrors(behaviour=behaviour), mirrors()
        file = wanted(bad.url())
        message = refusal(lambda: download.fetch(file, stall_seconds=0.3))
        assert reason in message and bad.url() in message
        # The one thing worth keeping is the half that a server with ranges can complete.
        resumable = [f".weights.bin.{SHA256[:16]}.part"] if behaviour == "stalls" else []
        assert left_in(cache) == resumable
        path = download.fetch(wanted(bad.url(), good.url()), stall_seconds=0.3)
        assert path.read_bytes() == CONTENT
        assert left_in(cache) == ["weights.bin"]


def test_goes_on_where_the_server_cut_off(mirrors: Mirrors, cache: Path) -> None:
    mirror = mirrors(behaviour="cuts")
    message = refusal(lambda: download.fetch(wanted(mirror.url())))
    assert "an end after" in message
    assert mirror.ranges[:2] == [None, "bytes=51200-"]
    assert len(mirror.ranges) == download.ATTEMPTS
    mirror.behaviour = "good"
    seen = len(mirror.ranges)
    assert download.fetch(wanted(mirror.url())).read_bytes() == CONTENT
    begin = int(re.findall(r"\d+", mirror.ranges[seen])[0])
    assert len(mirror.ranges) == seen + 1 and begin > 0.98 * len(CONTENT)
    assert left_in(cache) == ["weights.bin"]


@pytest.mark.parametrize("behaviour", ["ignores_ranges", "range_refused", "good"])
@pytest.mark.parametrize("part", [b"", CONTENT[:1000], b"x" * 1000, CONTENT, b"x" * len(CONTENT)])
def test_part_of_an_earlier_run(behaviour: str, part: bytes, mirrors: Mirrors, cache: Path) -> None:
    """Right or wrong, short or whole: what lay there never ends up in the result unchecked."""
    mirror = mirrors(behaviour=behaviour)
    folder = cache / "weights" / SHA256[:16]
    folder.mkdir(parents=True)
    (folder / f".weights.bin.{SHA256[:16]}.part").write_bytes(part)
    (folder / ".weights.bin.0123456789abcdef.part").write_bytes(b"of another version")
    assert download.fetch(wanted(mirror.url())).read_bytes() == CONTENT
    assert left_in(cache) == ["weights.bin"]
    assert (part == CONTENT) is (mirror.ranges == [])


def test_a_damaged_file_in_the_cache_is_replaced(mirrors: Mirrors, cache: Path) -> None:
    mirror = mirrors()
    path = download.fetch(wanted(mirror.url()))
    path.write_bytes(CONTENT[:-1] + b"?")
    assert download.fetch(wanted(mirror.url())).read_bytes() == CONTENT


def test_offline(mirrors: Mirrors, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mirror = mirrors()
    monkeypatch.setenv("BURN_TF_OFFLINE", "1")
    message = refusal(lambda: download.fetch(wanted(mirror.url())))
    assert (
        "BURN_TF_OFFLINE" in message
        and str(cache / "weights" / SHA256[:16] / "weights.bin") in message
    )
    assert mirror.ranges == [] and not cache.exists()
    # The cure that the message names.
    (cache / "weights" / SHA256[:16]).mkdir(parents=True)
    (cache / "weights" / SHA256[:16] / "weights.bin").write_bytes(CONTENT)
    assert download.fetch(wanted(mirror.url())).read_bytes() == CONTENT
    (cache / "weights" / SHA256[:16] / "weights.bin").write_bytes(CONTENT[::-1])
    assert "SHA-256 " in refusal(lambda: download.fetch(wanted(mirror.url())))


def test_no_mirror(cache: Path) -> None:
    assert "on no mirror" in refusal(lambda: download.fetch(wanted()))
    assert not cache.exists()


def test_the_shipped_file_comes_first_and_is_checked(empty_zoo: Path, cache: Path) -> None:
    shipped = empty_zoo / "weights" / "weights.bin"
    shipped.write_bytes(CONTENT)
    assert download.fetch(wanted()) == shipped
    shipped.write_bytes(CONTENT[1:])
    assert "reinstall burn_tf" in refusal(lambda: download.fetch(wanted()))
    assert not cache.exists()


class TestDisk:
    def test_full_at_the_start(
        self, mirrors: Mirrors, cache: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        usage = shutil.disk_usage(cache.parent)._replace(free=1000)
        monkeypatch.setattr(download.shutil, "disk_usage", lambda folder: usage)
        mirror = mirrors()
        message = refusal(lambda: download.fetch(wanted(mirror.url())))
        assert "free some space" in message and "BURN_TF_HOME" in message
        assert mirror.ranges == [] and left_in(cache) == []

    def test_full_half_way(
        self, mirrors: Mirrors, cache: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real = transfer._write

        def write(file: Any, block: bytes) -> None:
            if file.tell() + len(block) > 70_000:
                raise transfer.DiskError(OSError(errno.ENOSPC, "No space left on device"))
            real(file, block)

        monkeypatch.setattr(transfer, "_write", write)
        message = refusal(lambda: download.fetch(wanted(mirrors().url())))
        assert "free some space" in message and "No space left on device" in message
        assert left_in(cache) == []

    def test_a_system_that_refuses_to_write(self, mirrors: Mirrors, cache: Path) -> None:
        """A limit on file sizes is the nearest to a full disk that needs no rights."""
        program = (
            "import resource, signal, sys\n"
            "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (70_000, 70_000))\n"
            f"{CLIENT}"
        )
        done = run_client(program, mirrors().url(), cache)
        assert done.returncode == 2, done.stderr
        assert "free some space" in done.stdout and left_in(cache) == []

    def test_a_file_where_the_folder_should_be(self, mirrors: Mirrors, cache: Path) -> None:
        cache.write_text("in the way")
        message = refusal(lambda: download.fetch(wanted(mirrors().url())))
        assert "cannot write to" in message and "BURN_TF_HOME" in message
        assert cache.read_text() == "in the way"


# Imports burn_tf without running its __init__, which would import TensorFlow.
CLIENT = f"""
import sys
import burn_tf_launcher
burn_tf_launcher.place_package()
from burn_tf._checks import UserError
from zoo import download
from zoo.manifest import WeightFile
file = WeightFile("weights.bin", {len(CONTENT)}, "{SHA256}", (sys.argv[1],))
try:
    print(download.fetch(file))
except UserError as error:
    print(error)
    sys.exit(2)
"""


def start_client(program: str, url: str, cache: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "BURN_TF_HOME": str(cache), "no_proxy": "*"}
    return subprocess.Popen(
        [sys.executable, "-c", program, url],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run_client(program: str, url: str, cache: Path) -> subprocess.CompletedProcess[str]:
    process = start_client(program, url, cache)
    out, err = process.communicate(timeout=60)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def test_two_processes_download_once(mirrors: Mirrors, cache: Path) -> None:
    mirror = mirrors(behaviour="stalls")
    clients = [start_client(CLIENT, mirror.url(), cache) for _ in range(2)]
    deadline = time.monotonic() + 30
    while not mirror.ranges and time.monotonic() < deadline:
        time.sleep(0.02)
    # The first one hangs in its download and the second one in the lock; then the server wakes up.
    time.sleep(0.5)
    assert len(mirror.ranges) == 1
    mirror.behaviour = "good"
    mirror.release.set()
    results = [client.communicate(timeout=60) for client in clients]
    assert [client.returncode for client in clients] == [0, 0], results
    assert mirror.ranges == [None, "bytes=51200-"]
    assert left_in(cache) == ["weights.bin"]
    assert (cache / "weights" / SHA256[:16] / "weights.bin").read_bytes() == CONTENT


def test_a_killed_process_locks_nobody_out(mirrors: Mirrors, cache: Path) -> None:
    mirror = mirrors(behaviour="stalls")
    client = start_client(CLIENT, mirror.url(), cache)
    deadline = time.monotonic() + 30
    part = f".weights.bin.{SHA256[:16]}.part"
    while time.monotonic() < deadline:
        if [path for path in cache.rglob(part) if path.stat().st_size == 51_200]:
            break
        time.sleep(0.02)
    client.kill()
    client.communicate()
    assert ".weights.bin.lock" in left_in(cache)
    mirror.behaviour = "good"
    assert download.fetch(wanted(mirror.url())).read_bytes() == CONTENT
    assert mirror.ranges[-1] == "bytes=51200-"
    assert left_in(cache) == ["weights.bin"]


def test_threads_wait_for_each_other(mirrors: Mirrors, cache: Path) -> None:
    mirror = mirrors()
    threads = [
        threading.Thread(target=download.fetch, args=(wanted(mirror.url()),)) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert mirror.ranges == [None]
    assert left_in(cache) == ["weights.bin"]


class TestFetchUrl:
    def test_keeps_and_checks_what_came_first(self, mirrors: Mirrors, cache: Path) -> None:
        mirror = mirrors()
        path = download.fetch_url(mirror.url("burn.pth"))
        assert path.name == "burn.pth" and path.read_bytes() == CONTENT
        assert cache in path.parents
        assert download.fetch_url(mirror.url("burn.pth")) == path
        assert len(mirror.ranges) == 1
        path.write_bytes(b"damaged")
        assert download.fetch_url(mirror.url("burn.pth")).read_bytes() == CONTENT
        assert left_in(cache) == ["burn.pth", "burn.pth.sha256"]

    def test_the_hash_in_the_address(self, mirrors: Mirrors, cache: Path) -> None:
        mirror = mirrors()
        path = download.fetch_url(f"{mirror.url()}#sha256={SHA256.upper()}")
        assert path.read_bytes() == CONTENT
        other = "0" * 64
        message = refusal(lambda: download.fetch_url(f"{mirror.url()}#sha256={other}"))
        assert f"SHA-256 {SHA256} in place of {other}" in message

    @pytest.mark.parametrize(
        ("behaviour", "reason"),
        [
            ("missing", "HTTP 404"),
            ("stalls", "silence"),
            ("cuts", "an end after"),
            ("page", "a web page in place of a file"),
        ],
    )
    def test_leaves_nothing_behind(
        self, behaviour: str, reason: str, mirrors: Mirrors, cache: Path
    ) -> None:
        mirror = mirrors(behaviour=behaviour)
        message = refusal(lambda: download.fetch_url(mirror.url(), stall_seconds=0.3))
        assert reason in message
        assert left_in(cache) == []

    @pytest.mark.parametrize(
        "name",
        [
            "../../../escaped",
            "%2e%2e%2f%2e%2e%2fescaped",
            "..%5C..%5Cescaped",
            "a/%2e%2e",
            ".hidden",
        ],
    )
    def test_no_name_leads_out_of_the_cache(self, name: str, mirrors: Mirrors, cache: Path) -> None:
        path = download.fetch_url(mirrors().url(name))
        assert path.resolve().parent.parent == (cache / "downloads").resolve()
        assert not path.name.startswith(".")
        assert {p.name for p in cache.parent.iterdir()} == {"cache"}

    @pytest.mark.parametrize(
        "url", ["ftp://host/a", "file:///etc/passwd", "https://", "https://host/a#md5=0", "a.pth"]
    )
    def test_refuses_what_is_no_address(self, url: str) -> None:
        refusal(lambda: download.fetch_url(url))

    def test_forget(self, mirrors: Mirrors, cache: Path) -> None:
        url = mirrors().url()
        download.fetch_url(url)
        download.forget_url(f"{url}#sha256={SHA256}")
        assert left_in(cache) == ["weights.bin", "weights.bin.sha256"]
        download.forget_url(url)
        assert left_in(cache) == []
