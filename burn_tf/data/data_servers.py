"""The servers of a tf.data service: a dispatcher that deals out batches, workers that make them."""

from __future__ import annotations

import socket
import threading

import tensorflow as tf

from burn_tf._checks import UserError, check_integer
from burn_tf.data.data_service import check_address


class DataServers:
    """A dispatcher and a worker in this process, or a worker alone; they stop when closed.

    Args:
        port: of the dispatcher, or of the worker where there is a `dispatcher`; None: a free one.
        dispatcher: HOST:PORT of a dispatcher that the worker joins; None: one is started here.
        host: name by which clients reach this machine; None: its host name.

    Raises:
        UserError: a port that is taken, a dispatcher that does not answer, or a host that cannot be
            resolved.
    """

    def __init__(
        self, port: int | None = None, dispatcher: str | None = None, host: str | None = None
    ) -> None:
        port = 0 if port is None else check_integer("port", port, low=1, high=65535)
        self.host = _check_host(host or socket.gethostname())
        self._dispatcher = None
        self._stopped = threading.Event()
        if dispatcher is None:
            _check_port(port)
            config = tf.data.experimental.service.DispatcherConfig(port=port)
            self._dispatcher = tf.data.experimental.service.DispatchServer(config)
            own = self._dispatcher.target.rpartition(":")[2]
            self.address, joined, port = f"{self.host}:{own}", f"localhost:{own}", 0
        else:
            check_address(dispatcher, "dispatcher")
            _check_port(port)
            self.address = joined = dispatcher
        config = tf.data.experimental.service.WorkerConfig(
            dispatcher_address=joined, worker_address=f"{self.host}:%port%", port=port
        )
        self._worker = tf.data.experimental.service.WorkerServer(config)

    def describe(self) -> str:
        """What runs here, and where it is reached."""
        if self._dispatcher is None:
            return f"worker of the data service at {self.address}"
        return f"data service at {self.address}: a dispatcher and a worker"

    def wait(self) -> None:
        """Until `close`, or an interruption.

        In turns of a second: a signal that another thread was given does not end a longer one.
        """
        while not self._stopped.wait(1.0):
            pass

    def close(self) -> None:
        """Stop serving."""
        self._stopped.set()
        self._worker.stop()
        if self._dispatcher is not None:
            self._dispatcher.stop()

    def __enter__(self) -> DataServers:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _check_host(host: str) -> str:
    try:
        socket.getaddrinfo(host, None)
    except OSError as error:
        raise UserError(
            f"`host` must be a name or address of this machine that others can resolve. "
            f"Received: {host!r} ({error.strerror or error})"
        ) from error
    return host


def _check_port(port: int) -> None:
    """Refuse a port that is taken: TensorFlow would share it without a word."""
    with socket.socket() as probe:
        try:
            probe.bind(("", port))
        except OSError as error:
            raise UserError(
                f"`port` must be free; choose another one. Received: {port} ({error.strerror})"
            ) from error
