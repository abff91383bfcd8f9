"""Workers that come late, go away, or stay."""

from __future__ import annotations

import socket
import threading

from burn_tf.training.peers import PeerWatch, answers


def watch(peers, seen, start_seconds=10.0, lost_seconds=5.0):
    made = PeerWatch(peers, start_seconds, lost_seconds)
    made._seen.update(seen)
    return made


def test_who_is_missing():
    assert watch(["a:1", "b:1"], {"a:1": 9.0}).complaint(began=0.0, now=10.0) == ""
    late = watch(["a:1", "b:1"], {"a:1": 9.0}).complaint(began=0.0, now=10.5)
    assert "did not come within 10 s" in late and late.endswith("no answer from b:1")
    assert watch(["a:1"], {"a:1": 9.0}).complaint(began=0.0, now=14.0) == ""
    lost = watch(["a:1", "b:1"], {"a:1": 9.0, "b:1": 12.0}).complaint(began=0.0, now=14.5)
    assert "a worker was lost" in lost and lost.endswith("Received: no answer from a:1")
    assert "\n" not in late + lost


def test_a_worker_that_goes_away():
    """Real connections: nobody is missed while it listens, and the line comes once it does not."""
    server = socket.create_server(("127.0.0.1", 0))
    address = f"127.0.0.1:{server.getsockname()[1]}"
    probed, lines = threading.Semaphore(0), []
    told = threading.Event()

    def probe(peer):
        found = answers(peer)
        probed.release()
        return found

    def note(line):
        lines.append(line)
        told.set()

    guard = PeerWatch([address], 60.0, 0.05, probe_seconds=0.01, on_loss=note, probe=probe)
    guard.start()
    for _ in range(5):
        assert probed.acquire(timeout=5)
    assert not lines
    server.close()
    assert told.wait(5)
    assert len(lines) == 1 and address in lines[0]


def test_nobody_is_missed_after_the_end():
    probed = threading.Event()
    lines: list[str] = []

    def probe(peer):
        guard.stop()
        probed.set()
        return False

    guard = PeerWatch(["a:1"], 1e-9, 1e-9, probe_seconds=0.0, on_loss=lines.append, probe=probe)
    guard.start()
    assert probed.wait(5)
    guard._thread.join(5)
    assert not guard._thread.is_alive() and not lines
