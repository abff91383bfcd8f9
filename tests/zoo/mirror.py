"""A server of one file that misbehaves on demand."""

from __future__ import annotations

import contextlib
import gzip
import http.server
import re
import threading
import time


class Mirror:
    """Serves `content` at /NAME; `behaviour` says what goes wrong.

    Behaviours: "good"; "missing" (404); "busy" (503); "silent" (accepts and says nothing);
    "stalls" (half, then silence); "trickles" (a byte at a time); "cuts" (half, then the end of the
    connection, resumable); "cuts_without_ranges"; "ignores_ranges"; "lies" (other bytes, the same
    length); "longer" (more bytes than the file has, length not stated); "other_range" (answers with
    another part); "range_refused" (416); "redirects_to_file"; "redirects_in_circles"; "page" (a web
    page); "slow_head" (a byte of its headers at a time, without end); "slow_chunks" (likewise, in
    the length of a chunk); "reason" (404 in words that would move a terminal's cursor);
    "gzipped" (compressed, though nobody asked for that); "half" (half, and no word of how long the
    file is).
    """

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.behaviour = "good"
        self.ranges: list[str | None] = []
        self.release = threading.Event()
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )
        self._thread.start()

    def url(self, name: str = "weights.bin") -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/{name}"

    def close(self) -> None:
        self.release.set()
        self._server.shutdown()
        self._server.server_close()


def _handler(mirror: Mirror) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

        def do_GET(self) -> None:
            mirror.ranges.append(self.headers.get("Range"))
            # A client that gave up is what many tests are about.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                getattr(self, f"answer_{mirror.behaviour}")()

        def begin(self) -> int:
            stated = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
            return int(stated.group(1)) if stated else 0

        def head(self, code: int, length: int | None, headers: dict[str, str]) -> None:
            self.send_response(code)
            if length is not None:
                self.send_header("Content-Length", str(length))
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()

        def answer_good(self, content: bytes | None = None, stop: int | None = None) -> None:
            content = mirror.content if content is None else content
            begin = self.begin()
            headers = {"Accept-Ranges": "bytes"}
            if begin:
                headers["Content-Range"] = f"bytes {begin}-{len(content) - 1}/{len(content)}"
            self.head(206 if begin else 200, len(content) - begin, headers)
            self.wfile.write(content[begin:stop])
            self.wfile.flush()

        def answer_missing(self) -> None:
            self.send_error(404)

        def answer_busy(self) -> None:
            self.send_error(503)

        def answer_silent(self) -> None:
            mirror.release.wait(20)

        def answer_stalls(self) -> None:
            self.answer_good(stop=len(mirror.content) // 2)
            mirror.release.wait(20)

        def answer_trickles(self) -> None:
            self.head(200, len(mirror.content), {})
            for byte in mirror.content[:400]:
                self.wfile.write(bytes([byte]))
                self.wfile.flush()
                time.sleep(0.02)

        def answer_cuts(self) -> None:
            self.answer_good(stop=(self.begin() + len(mirror.content)) // 2)

        def answer_cuts_without_ranges(self) -> None:
            self.head(200, len(mirror.content), {})
            self.wfile.write(mirror.content[: len(mirror.content) // 2])

        def answer_ignores_ranges(self) -> None:
            self.head(200, len(mirror.content), {})
            self.wfile.write(mirror.content)

        def answer_lies(self) -> None:
            self.answer_good(bytes(255 - byte for byte in mirror.content))

        def answer_longer(self) -> None:
            self.head(200, None, {})
            self.wfile.write(mirror.content * 3)

        def answer_other_range(self) -> None:
            self.head(206, len(mirror.content), {"Content-Range": "bytes 5-9/10"})

        def answer_range_refused(self) -> None:
            if self.begin():
                self.send_error(416)
            else:
                self.answer_good()

        def answer_redirects_to_file(self) -> None:
            self.head(302, 0, {"Location": "file:///etc/hostname"})

        def answer_redirects_in_circles(self) -> None:
            self.head(302, 0, {"Location": self.path})

        def drip(self) -> None:
            while not mirror.release.wait(0.02):
                self.wfile.write(b"1")
                self.wfile.flush()

        def answer_slow_head(self) -> None:
            self.wfile.write(b"HTTP/1.0 200 OK\r\nX: ")
            self.drip()

        def answer_slow_chunks(self) -> None:
            self.protocol_version = "HTTP/1.1"
            self.head(200, None, {"Transfer-Encoding": "chunked"})
            self.wfile.write(b"1;")
            self.drip()

        def answer_reason(self) -> None:
            self.wfile.write(b"HTTP/1.0 404 \x1b[2JNot\x07 here\r\n\r\n")

        def answer_gzipped(self) -> None:
            self.head(200, None, {"Content-Encoding": "gzip"})
            self.wfile.write(gzip.compress(mirror.content))

        def answer_half(self) -> None:
            self.head(200, None, {})
            self.wfile.write(mirror.content[: len(mirror.content) // 2])

        def answer_page(self) -> None:
            page = b"<!DOCTYPE html><title>Sign in</title>"
            self.head(200, len(page), {})
            self.wfile.write(page)

    return Handler
