"""Workers that go away, or stay."""

from __future__ import annotations

import socket
import threading
import time

from burn_tf.training.peers import PeerWatch, answers


def test_who_is_missing():
    began = time.monotonic()
    watch = PeerWatch(["a:1", "b:1"], lost_seconds=5.0)
    assert watch.lost(began + 4.9) == []
    watch._seen["b:1"] = began + 3.0
    assert watch.lost(began + 7.9) == ["a:1"]
    assert watch.lost(began + 8.1) == ["a:1", "b:1"]


def test_a_worker_that_goes_away():
    """Real connections: nobody is missed while it listens, and the line comes once it does not."""
    server = socket.create_server(("127.0.0.1", 0))
    address = f"127.0.0.1:{server.getsockname()[1]}"
    probed, told = threading.Semaphore(0), threading.Event()
    lines: list[str] = []

    def probe(peer: str) -> bool:
        found = answers(peer)
        probed.release()
        return found

    def note(line: str) -> None:
        lines.append(line)
        told.set()

    watch = PeerWatch([address], 2.0, probe_seconds=0.01, on_loss=note, probe=probe)
    watch.start()
    for _ in range(5):
        assert probed.acquire(timeout=5)
    assert not lines
    server.close()
    assert told.wait(10)
    (line,) = lines
    assert line.startswith("a worker was lost: ") and "\n" not in line
    assert line.endswith(f"Received: no answer from {address}")


def test_nobody_is_missed_after_the_end():
    probed = threading.Event()
    lines: list[str] = []

    def probe(peer: str) -> bool:
        watch.stop()
        probed.set()
        return False

    watch = PeerWatch(["a:1"], -1.0, probe_seconds=0.0, on_loss=lines.append, probe=probe)
    watch.start()
    assert probed.wait(5)
    watch._thread.join(5)
    assert not watch._thread.is_alive() and not lines
