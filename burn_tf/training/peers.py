"""Watches that the other workers are there: they come in time, and none goes away unnoticed.

TensorFlow's own heartbeat breaks off a step within about ten seconds of a worker's end. What it
leaves out is seen to here: it waits an hour for a worker that never comes, and a process that it
stops may wait for the lost one while it shuts down.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence

from burn_tf.training.cluster import split_address

START_SECONDS = 300.0
LOST_SECONDS = 30.0
_PROBE_SECONDS = 2.0
_CONNECT_SECONDS = 3.0


def end_process(line: str) -> None:
    """Print the line as the command line prints mistakes, and end this process at once."""
    sys.stdout.flush()
    print(f"burn-tf: error: {line}", file=sys.stderr, flush=True)
    # An orderly exit would wait for the worker that is gone.
    os._exit(2)


def answers(address: str, seconds: float = _CONNECT_SECONDS) -> bool:
    """Whether something accepts connections at `host:port`."""
    try:
        socket.create_connection(split_address(address), timeout=seconds).close()
    except OSError:
        return False
    return True


class PeerWatch:
    """A thread that connects to the other workers every two seconds, and ends the process.

    Args:
        peers: addresses `host:port`. The chief watches all others, they watch the chief alone: a
            worker that is gone takes the chief with it, and the chief the rest.
        start_seconds: how long a peer may take to come; > 0.
        lost_seconds: how long one that has come may be away; > 0. TensorFlow notices within ten
            seconds: this is for a process that cannot act on it.
        probe_seconds: pause between rounds.
        on_loss: what is done with the line that says who is missing.
        probe: whether a worker answers.
    """

    def __init__(
        self,
        peers: Sequence[str],
        start_seconds: float = START_SECONDS,
        lost_seconds: float = LOST_SECONDS,
        *,
        probe_seconds: float = _PROBE_SECONDS,
        on_loss: Callable[[str], None] = end_process,
        probe: Callable[[str], bool] = answers,
    ) -> None:
        self.peers = tuple(peers)
        self.start_seconds, self.lost_seconds = start_seconds, lost_seconds
        self._probe_seconds, self._on_loss, self._probe = probe_seconds, on_loss, probe
        self._seen: dict[str, float] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="peers", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """Watch no longer: from here on the others may end."""
        self._stop.set()

    def _run(self) -> None:
        began = time.monotonic()
        while not self._stop.is_set():
            for peer in self.peers:
                if self._probe(peer):
                    self._seen[peer] = time.monotonic()
            line = self.complaint(began, time.monotonic())
            if line and not self._stop.is_set():
                self._on_loss(line)
                return
            self._stop.wait(self._probe_seconds)

    def complaint(self, began: float, now: float) -> str:
        """The line on who is missing at time `now`, or ""; seconds as of `time.monotonic`."""
        late = [peer for peer in self.peers if peer not in self._seen]
        if late and now - began > self.start_seconds:
            return (
                f"a worker did not come within {self.start_seconds:g} s (`--start_seconds`): see "
                "what it printed, whether its port can be reached, then start all workers again. "
                f"Received: no answer from {', '.join(late)}"
            )
        lost = [peer for peer, seen in self._seen.items() if now - seen > self.lost_seconds]
        return lost_line(f"no answer from {', '.join(lost)}") if lost else ""


def lost_line(received: str) -> str:
    """What a worker says when another one is gone."""
    return (
        "a worker was lost: see what it printed, then start all workers again with the same "
        f"command, and the run goes on from its newest checkpoint. Received: {received}"
    )
