"""All workers come together before TensorFlow forms its group, which waits an hour and cannot say
for whom.

The chief listens on its own address, which is free until TensorFlow takes it. The others connect,
say who they are, and are told to go on once all are there, or who is late.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator

from burn_tf._checks import UserError
from burn_tf.training.cluster import Cluster, split_address

START_SECONDS = 300.0
_HELLO, _GO, _LATE = b"burn-tf worker", b"go", b"late"
_ANSWER_BYTES = 4096
_PAUSE_SECONDS = 0.2
_HELLO_SECONDS = 3.0


def meet(cluster: Cluster, seconds: float = START_SECONDS) -> None:
    """Return when all workers of the cluster have come here.

    Args:
        cluster: the addresses, and which of them is this process's.
        seconds: how long they are waited for; > 0.

    Raises:
        UserError: not all came; on every worker that did, naming those that did not.
    """
    deadline = time.monotonic() + seconds
    if cluster.number == 0:
        _gather(cluster, deadline, seconds)
    else:
        _report(cluster, deadline, seconds)


def _gather(cluster: Cluster, deadline: float, seconds: float) -> None:
    """The chief's part."""
    expected = range(1, len(cluster.addresses))
    present: dict[int, socket.socket] = {}
    with contextlib.ExitStack() as opened:
        server = opened.enter_context(_listening(cluster.addresses[0], deadline))
        while len(present) < len(expected) and time.monotonic() < deadline:
            guest = _accepted(server, deadline)
            number = None if guest is None else _who(guest, len(cluster.addresses))
            if guest is not None and number is not None:
                present[number] = opened.enter_context(guest)
            # One that has ended meanwhile does not count.
            present = {i: one for i, one in present.items() if _is_open(one)}
        late = [cluster.addresses[i] for i in expected if i not in present]
        answer = b" ".join([_LATE, *(name.encode() for name in late)]) if late else _GO
        for guest in present.values():
            _dismiss(guest, answer)
    if late:
        raise _are_late(", ".join(late), seconds)


def _report(cluster: Cluster, deadline: float, seconds: float) -> None:
    """Every other worker's part."""
    chief = cluster.addresses[0]
    hello = b"%s %d of %d\n" % (_HELLO, cluster.number, len(cluster.addresses))
    while time.monotonic() < deadline:
        answer = _asked(chief, hello, deadline)
        if answer == _GO:
            return
        if answer.startswith(_LATE):
            raise _are_late(answer[len(_LATE) + 1 :].decode().replace(" ", ", "), seconds)
        time.sleep(_PAUSE_SECONDS)
    raise _are_late(f"{chief}, the chief", seconds)


def _are_late(who: str, seconds: float) -> UserError:
    return UserError(
        f"not all workers came within {seconds:g} s (`--start_seconds`): see what they printed and "
        "whether they can reach the chief's address, then start all of them again. Received: "
        f"nothing from {who}"
    )


@contextlib.contextmanager
def _listening(address: str, deadline: float) -> Iterator[socket.socket]:
    """A server on this address; one that still belongs to a run just ended is waited for."""
    _, port = split_address(address)
    family = socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET
    both = family == socket.AF_INET6
    while True:
        try:
            server = socket.create_server(("", port), family=family, dualstack_ipv6=both)
            break
        except OSError as error:
            if time.monotonic() > deadline:
                raise UserError(
                    f"the chief's port must be free: end what uses it, or choose another. "
                    f"Received: {address}: {error.strerror}"
                ) from error
            time.sleep(_PAUSE_SECONDS)
    with server:
        yield server


def _accepted(server: socket.socket, deadline: float) -> socket.socket | None:
    server.settimeout(max(0.01, min(1.0, deadline - time.monotonic())))
    try:
        return server.accept()[0]
    except TimeoutError:
        return None


def _who(guest: socket.socket, count: int) -> int | None:
    """The number that a guest gives; None for a stranger, which is sent away."""
    guest.settimeout(_HELLO_SECONDS)
    try:
        words = guest.recv(_ANSWER_BYTES).strip().rsplit(b" ", 3)
    except OSError:
        words = []
    known = len(words) == 4 and words[0] == _HELLO and words[2:] == [b"of", b"%d" % count]
    if known and words[1].isdigit() and 0 < int(words[1]) < count:
        return int(words[1])
    guest.close()
    return None


def _is_open(guest: socket.socket) -> bool:
    """Whether the other side still waits: it sends nothing, and has not closed."""
    guest.setblocking(False)
    try:
        guest.recv(1)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _dismiss(guest: socket.socket, answer: bytes) -> None:
    """Send the answer, and let the other side close first: the chief's port is free at once."""
    guest.settimeout(_HELLO_SECONDS)
    with contextlib.suppress(OSError):
        guest.sendall(answer + b"\n")
        guest.recv(1)


def _asked(chief: str, hello: bytes, deadline: float) -> bytes:
    """What the chief answers; nothing where there is none, or none that knows us."""
    try:
        with socket.create_connection(split_address(chief), timeout=_HELLO_SECONDS) as connection:
            connection.sendall(hello)
            # The chief's own answer at the deadline names who is late: it gets a moment to come.
            connection.settimeout(max(0.01, deadline - time.monotonic()) + _HELLO_SECONDS)
            return connection.recv(_ANSWER_BYTES).strip()
    except OSError:
        return b""
