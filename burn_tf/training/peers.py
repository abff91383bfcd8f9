"""Watches that the other workers stay, behind TensorFlow's own heartbeat.

The heartbeat breaks off a step within half a minute of a worker's end, in all others. This is for a
process that cannot act on it, for example because it waits for the lost worker while it shuts down.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence

from burn_tf.training.cluster import split_address

LOST_SECONDS = 40.0
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
    """A thread that connects to other workers every two seconds, and ends this process.

    Args:
        peers: addresses `host:port`, which answer when the watch begins. The chief watches all
            others, they watch the chief alone: a worker that is gone takes the chief with it, and
            the chief the rest.
        lost_seconds: how long one may be away; > 0.
        probe_seconds: pause between rounds.
        on_loss: what is done with the line that says who is missing.
        probe: whether a worker answers.
    """

    def __init__(
        self,
        peers: Sequence[str],
        lost_seconds: float = LOST_SECONDS,
        *,
        probe_seconds: float = _PROBE_SECONDS,
        on_loss: Callable[[str], None] = end_process,
        probe: Callable[[str], bool] = answers,
    ) -> None:
        self.lost_seconds = lost_seconds
        self._probe_seconds, self._on_loss, self._probe = probe_seconds, on_loss, probe
        self._seen = dict.fromkeys(peers, time.monotonic())
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="peers", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """Watch no longer: from here on the others may end."""
        self._stop.set()

    def _run(self) -> None:
        while not self._stop.is_set():
            for peer in self._seen:
                if self._probe(peer):
                    self._seen[peer] = time.monotonic()
            lost = self.lost(time.monotonic())
            if lost and not self._stop.is_set():
                self._on_loss(lost_line(f"no answer from {', '.join(lost)}"))
                return
            self._stop.wait(self._probe_seconds)

    def lost(self, now: float) -> list[str]:
        """Who has been away too long at time `now`, in seconds as of `time.monotonic`."""
        return [peer for peer, seen in self._seen.items() if now - seen > self.lost_seconds]


def lost_line(received: str) -> str:
    """What a worker says when another one is gone."""
    return (
        "a worker was lost: see what it printed, then start all workers again with the same "
        f"command, and the run goes on from its newest checkpoint. Received: {received}"
    )
