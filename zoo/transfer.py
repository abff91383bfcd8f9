"""One attempt to get a file over HTTP into a part file, going on where that file ends."""

from __future__ import annotations

import http.client
import io
import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
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
        super().__init__(reason)
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
        allowed = ("https://",) if req.full_url.startswith("https://") else ("https://", "http://")
        if not newurl.lower().startswith(allowed):
            raise TransferError(f"a redirect to {newurl.split(':')[0]}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener() -> urllib.request.OpenerDirector:
    """For http and https alone: urllib's own also opens files and FTP."""
    opener = urllib.request.OpenerDirector()
    handlers: list[Any] = [
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
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
    try:
        with _opener().open(request, timeout=stall_seconds) as response:
            begin = _begin(response, offset)
            _receive(response, part, begin, _total(response, begin, size), stall_seconds)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
            part.unlink(missing_ok=True)
        raise TransferError(f"HTTP {error.code} {error.reason}".strip()) from error
    except TimeoutError as error:
        raise TransferError(f"no answer for {stall_seconds:g} s") from error
    except urllib.error.URLError as error:
        silent = isinstance(error.reason, TimeoutError)
        reason = f"no answer for {stall_seconds:g} s" if silent else f"{error.reason}"
        raise TransferError(reason) from error
    except (http.client.HTTPException, OSError, ValueError) as error:
        raise TransferError(f"{type(error).__name__} {error}".strip()) from error


def _begin(response: Any, offset: int) -> int:
    """Where in the file the body begins: at `offset`, or at 0 where ranges are ignored."""
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


def _receive(
    response: Any, part: Path, begin: int, total: int | None, stall_seconds: float
) -> None:
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
        try:
            for block in _blocks(response, stall_seconds):
                done += len(block)
                if done > (LARGEST if total is None else total):
                    raise TransferError("more bytes than the file has")
                _write(file, block)
        except (TimeoutError, OSError, http.client.HTTPException) as error:
            silent = isinstance(error, TimeoutError)
            reason = f"silence for {stall_seconds:g} s" if silent else type(error).__name__
            raise TransferError(f"{reason} {_after(done, total)}", resumable) from error
        if total is not None and done < total:
            raise TransferError(f"an end {_after(done, total)}", resumable)


def _blocks(response: Any, stall_seconds: float) -> Iterator[bytes]:
    """The body as it arrives, watched for a trickle that no single read would call silence."""
    begun, received = time.monotonic(), 0
    while block := response.read1(_BLOCK):
        yield block
        received += len(block)
        elapsed = time.monotonic() - begun
        if elapsed > stall_seconds:
            if received < elapsed * _SLOWEST_BYTES_PER_SECOND:
                raise TimeoutError
            begun, received = time.monotonic(), 0


def _after(done: int, total: int | None) -> str:
    return f"after {done} bytes" + ("" if total is None else f" of {total}")


def _write(file: io.FileIO, block: bytes) -> None:
    rest = memoryview(block)
    try:
        while rest:
            rest = rest[file.write(rest) :]
    except OSError as error:
        raise DiskError(error) from error
