"""One attempt to get a file over HTTP into a part file, going on where that file ends."""

from __future__ import annotations

import contextlib
import http.client
import io
import re
import socket
import ssl
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

_BLOCK = 1 << 16
# A server slower than this has stalled, even if it sends a byte now and then.
_SLOWEST_BYTES_PER_SECOND = 256
# For files whose size nobody has stated.
LARGEST = 8 << 30


class TransferError(Exception):
    """The server's or the network's fault.

    Args:
        reason: a few words.
        resumable: another attempt can go on where this one ended.
    """

    def __init__(self, reason: str, resumable: bool = False) -> None:
        # Servers choose some of these words: they must not move the cursor of a terminal.
        super().__init__("".join(c for c in " ".join(reason.split()) if c.isprintable()))
        self.resumable = resumable


class DiskError(Exception):
    """The part file could not be written.

    Args:
        error: what the system said.
    """

    def __init__(self, error: OSError) -> None:
        super().__init__(str(error))
        self.error = error


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but never from https to something weaker."""

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        secure = req.full_url.lower().startswith("https://")
        allowed = ("https://",) if secure else ("https://", "http://")
        if not newurl.lower().startswith(allowed):
            raise TransferError(f"a redirect to {newurl.split(':')[0]}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


class _Watch:
    """Ends the connections of an attempt that brings too little.

    A socket's timeout is that of one read and begins again with every byte, so that a server could
    draw out its headers without end.

    Args:
        seconds: silence, or a trickle, that is taken for a stall.
    """

    def __init__(self, seconds: float) -> None:
        self.stalled = False
        self.seconds = seconds
        self._sockets: list[socket.socket] = []
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.restart()

    def __enter__(self) -> _Watch:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._done.set()
        self._thread.join()

    def restart(self) -> None:
        """Count anew from now on."""
        self._deadline, self._received = time.monotonic() + self.seconds, 0

    def count(self, received: int) -> None:
        """So many bytes have arrived."""
        self._received += received

    def connection(self, kind: type[http.client.HTTPConnection]) -> Any:
        """The same kind of connection, watched."""
        sockets = self._sockets

        class Watched(kind):  # type: ignore[misc, valid-type]
            def connect(self) -> None:
                super().connect()
                sockets.append(self.sock)

        return Watched

    def _run(self) -> None:
        while not self._done.wait(max(0.0, self._deadline - time.monotonic())):
            if time.monotonic() < self._deadline:
                continue
            if self._received < self.seconds * _SLOWEST_BYTES_PER_SECOND:
                self.stalled = True
                self._shut_down()
            self.restart()

    def _shut_down(self) -> None:
        for connected in self._sockets:
            # Whatever is being read then ends here; closing would not wake the reader.
            with contextlib.suppress(OSError):
                socket.socket.shutdown(connected, socket.SHUT_RDWR)


class _Http(urllib.request.HTTPHandler):
    def __init__(self, watch: _Watch) -> None:
        super().__init__()
        self._watch = watch

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(self._watch.connection(http.client.HTTPConnection), req)


class _Https(urllib.request.HTTPSHandler):
    def __init__(self, watch: _Watch) -> None:
        super().__init__()
        self._watch = watch

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        watched = self._watch.connection(http.client.HTTPSConnection)
        return self.do_open(watched, req, context=ssl.create_default_context())


def _opener(watch: _Watch) -> urllib.request.OpenerDirector:
    """For http and https alone: urllib's own also opens files and FTP."""
    opener = urllib.request.OpenerDirector()
    handlers: list[Any] = [
        urllib.request.ProxyHandler(),
        _Http(watch),
        _Https(watch),
        _Redirects(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
    ]
    for handler in handlers:
        opener.add_handler(handler)
    return opener


def transfer(url: str, part: Path, size: int | None, stall_seconds: float) -> None:
    """Get what `part` still lacks of the file at `url`.

    Args:
        url: http or https.
        part: the file to append to; it is emptied where the server cannot go on from its end.
        size: of the whole file in bytes, or None where it is not known.
        stall_seconds: silence after which the attempt ends.

    Raises:
        TransferError: whatever the server did wrong. What arrived stays in `part`.
        DiskError: `part` cannot be written.
    """
    offset = part.stat().st_size if part.exists() else 0
    headers = {"User-Agent": "burn_tf", "Accept-Encoding": "identity"}
    if offset:
        headers["Range"] = f"bytes={offset}-"
    request = urllib.request.Request(url, headers=headers)
    with _Watch(stall_seconds) as watch:
        try:
            with _opener(watch).open(request, timeout=stall_seconds) as response:
                if watch.stalled:
                    raise TimeoutError
                begin = _begin(response, offset)
                _receive(response, part, begin, _total(response, begin, size), watch)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
                part.unlink(missing_ok=True)
            raise TransferError(f"HTTP {error.code} {error.reason}") from error
        except (http.client.HTTPException, OSError, OverflowError, ValueError) as error:
            reason = getattr(error, "reason", error)
            if watch.stalled or isinstance(reason, TimeoutError):
                raise TransferError(f"no answer for {stall_seconds:g} s") from error
            words = reason if isinstance(error, urllib.error.URLError) else _named(error)
            raise TransferError(str(words)) from error


def _named(error: Exception) -> str:
    return f"{type(error).__name__} {error}"


def _begin(response: Any, offset: int) -> int:
    """Where in the file the body begins: at `offset`, or at 0 where ranges are ignored."""
    if response.headers.get("Content-Encoding", "identity").lower() not in ("", "identity"):
        raise TransferError("a compressed answer")
    if response.status != http.client.PARTIAL_CONTENT:
        return 0
    stated = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    if stated is None or int(stated.group(1)) != offset:
        raise TransferError("an answer for another part of the file")
    return offset


def _total(response: Any, begin: int, size: int | None) -> int | None:
    """The size of the whole file; what the server states must not differ from `size`."""
    length = response.headers.get("Content-Length", "")
    stated = begin + int(length) if length.isdigit() else None
    if size is not None and stated is not None and stated != size:
        raise TransferError(f"a file of {stated} bytes in place of {size}")
    return size if size is not None else stated


def _receive(response: Any, part: Path, begin: int, total: int | None, watch: _Watch) -> None:
    partial = response.status == http.client.PARTIAL_CONTENT
    resumable = partial or response.headers.get("Accept-Ranges", "").lower() == "bytes"
    try:
        # Unbuffered: a full disk is met at the write, and not again when the file is closed.
        file = open(part, "r+b" if begin else "wb", buffering=0)  # noqa: SIM115  closed below
    except OSError as error:
        raise DiskError(error) from error
    with file:
        file.seek(begin)
        done = begin
        watch.restart()
        fault = "an end"
        try:
            while block := response.read1(_BLOCK):
                done += len(block)
                if done > (LARGEST if total is None else total):
                    raise TransferError("more bytes than the file has")
                _write(file, block)
                watch.count(len(block))
        except (OSError, http.client.HTTPException, ValueError) as error:
            fault = type(error).__name__
            watch.stalled = watch.stalled or isinstance(error, TimeoutError)
        fault = f"silence for {watch.seconds:g} s" if watch.stalled else fault
        # Without a known size nothing but a clean end can mean that all of it is here.
        if done != total and (fault != "an end" or total is not None):
            raise TransferError(f"{fault} {_after(done, total)}", resumable)


def _after(done: int, total: int | None) -> str:
    return f"after {done} bytes" + ("" if total is None else f" of {total}")


def _write(file: io.FileIO, block: bytes) -> None:
    rest = memoryview(block)
    try:
        while rest:
            rest = rest[file.write(rest) :]
    except OSError as error:
        raise DiskError(error) from error
