"""Workers that wait for each other on real sockets: in any order, late, strangers, a taken port."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from burn_tf._checks import UserError
from burn_tf.training.cluster import Cluster
from burn_tf.training.rendezvous import meet


class Worker(threading.Thread):
    """One that comes after a while."""

    def __init__(self, addresses, index, seconds=20.0, after=0.0):
        super().__init__(daemon=True)
        self.cluster = Cluster({"worker": tuple(addresses)}, "worker", index)
        self.seconds, self.after = seconds, after
        self.result = "not there"
        self.start()

    def run(self):
        time.sleep(self.after)
        try:
            meet(self.cluster, self.seconds)
            self.result = "go"
        except UserError as error:
            self.result = str(error)

    def end(self):
        self.join(30)
        return self.result


@pytest.fixture
def addresses() -> Iterator[list[str]]:
    """Three of which only the first is listened at."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    yield [f"127.0.0.1:{port}", "127.0.0.1:7", "127.0.0.1:8"]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)])
def test_all_come_in_any_order(addresses: list[str], order: tuple[int, ...]) -> None:
    workers = [Worker(addresses, index, after=0.3 * place) for place, index in enumerate(order)]
    assert [worker.end() for worker in workers] == ["go"] * 3
    # TensorFlow takes the port next.
    socket.create_server(("127.0.0.1", int(addresses[0].split(":")[1]))).close()


def test_all_who_came_name_those_who_did_not(addresses: list[str]) -> None:
    workers = [Worker(addresses, index, seconds=1.5) for index in (0, 2)]
    for worker in workers:
        line = worker.end()
        assert line.startswith("not all workers came within 1.5 s") and "\n" not in line
        assert line.endswith("Received: nothing from 127.0.0.1:7")


def test_no_chief(addresses: list[str]) -> None:
    line = Worker(addresses, 1, seconds=0.5).end()
    assert line.endswith(f"Received: nothing from {addresses[0]}, the chief")


def test_strangers_and_those_who_left_do_not_count(addresses: list[str]) -> None:
    host, port = addresses[0].split(":")
    chief = Worker(addresses, 0)
    hellos = [b"GET / HTTP/1.1\r\n", b"burn-tf worker 1 of 2\n", b"burn-tf worker 3 of 3\n"]
    for hello in [*hellos, b"burn-tf worker 1 of 3\n"]:
        for _ in range(100):
            try:
                stranger = socket.create_connection((host, int(port)))
                break
            except ConnectionRefusedError:
                time.sleep(0.05)
        stranger.sendall(hello)
        # The last is no stranger, but leaves without an answer.
        if hello in hellos:
            stranger.settimeout(10)
            assert stranger.recv(1) == b""
        stranger.close()
    second = Worker(addresses, 2)
    time.sleep(0.5)
    assert chief.result == second.result == "not there"
    first = Worker(addresses, 1)
    assert [worker.end() for worker in (chief, first, second)] == ["go"] * 3


def test_a_port_that_is_taken(addresses: list[str]) -> None:
    port = int(addresses[0].split(":")[1])
    with socket.create_server(("", port), reuse_port=False):
        line = Worker(addresses, 0, seconds=0.5).end()
        assert line.startswith("the chief's port must be free") and addresses[0] in line
        waits = Worker(addresses, 0)
        time.sleep(0.5)
        assert waits.result == "not there"
    rest = [Worker(addresses, index) for index in (1, 2)]
    assert [worker.end() for worker in (waits, *rest)] == ["go"] * 3
