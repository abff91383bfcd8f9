"""Views made by the workers of a tf.data service, in the order in which one process makes them."""

from __future__ import annotations

import queue
import socket
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf
from absl import logging

from burn_tf._checks import UserError
from burn_tf.data import images

if TYPE_CHECKING:
    from burn_tf.data.sources import Source

OneStep = Callable[[tf.Tensor], tf.data.Dataset]

# Batches that a worker has under way, that are kept ready here, that may overtake a missing one
# before that one is made here, and of a run's end that workers which are gone may take with them.
_UNDER_WAY, _READY, _OVERTAKING, _TAIL = 2, 4, 32, 32
_CONNECT_SECONDS = 10.0
SILENCE_SECONDS = 60.0


def served(one_step: OneStep, start: int, stop: int, source: Source) -> tf.data.Dataset:
    """The batches `start` to `stop` - 1, made by the workers of `source.data_service`.

    The dispatcher deals out the numbers of the batches; each worker makes those that it is
    dealt, which are functions of their numbers; here they are put back in order. A batch that
    was dealt to a worker that is gone is made here: nothing is lost or shown twice, and the pixels
    are those of a run without a service.

    Args:
        one_step: number of a batch, int64 scalar -> a dataset of that batch alone.
        start: the first.
        stop: one after the last.
        source: where the images come from; the workers find its files at the same paths.

    Raises:
        UserError: nobody answers at the address, or images that only Python can decode.
    """
    address = str(source.data_service)
    check_address(address)
    if source.kinds is not None and not np.all(source.kinds == images.PLAIN):
        raise UserError(
            "a data service decodes without Python: pack the data first (burn-tf data pack "
            f"SOURCE --output FOLDER, then packed:FOLDER). Received: {source.name!r}"
        )

    def numbered(step: tf.Tensor) -> tf.data.Dataset:
        return one_step(step).map(lambda *element: (step, element))

    def batches() -> Iterator[Any]:
        steps = tf.data.Dataset.range(start, stop)
        made = steps.interleave(
            numbered, cycle_length=_UNDER_WAY, num_parallel_calls=_UNDER_WAY, deterministic=True
        )
        service = tf.data.experimental.service.distribute(
            processing_mode=tf.data.experimental.service.ShardingPolicy.DYNAMIC,
            service=f"grpc://{address}",
            compression=None,  # noise of augmented pixels does not shrink
        )
        yield from _in_order(made.apply(service), one_step, start, stop, address)

    with tf.device("CPU:0"):
        spec = one_step(tf.constant(start, tf.int64)).element_spec
    dataset = tf.data.Dataset.from_generator(batches, output_signature=spec)
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(stop - start))
    return dataset.prefetch(1)


def check_address(address: str, name: str = "data_service") -> None:
    """Raise unless somebody answers at HOST:PORT.

    Args:
        address: HOST:PORT.
        name: of the argument, for the message.

    Raises:
        UserError: nobody does within 10 s, or it is no address.
    """
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise UserError(f"`{name}` must be HOST:PORT. Received: {address!r}")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _CONNECT_SECONDS).close()
    except OSError as error:
        raise UserError(
            f"`{name}` must be the address of a running dispatcher: burn-tf data serve --port "
            f"{port} ({error.strerror or error}). Received: {address!r}"
        ) from error


def _in_order(
    dataset: tf.data.Dataset, one_step: OneStep, start: int, stop: int, address: str
) -> Iterator[Any]:
    """Batches by their numbers, whatever order they arrive in."""
    early: dict[int, Any] = {}
    with _Reader(dataset) as reader:
        for step in range(start, stop):
            while step not in early and len(early) <= _OVERTAKING:
                arrived = reader.next(patient=not early)
                if arrived is None:
                    break
                number, element = arrived
                if number >= step:  # an earlier one was made here in the meantime
                    early[number] = element
            if step in early:
                yield early.pop(step)
            elif early or reader.finished or (reader.answered and stop - step <= _TAIL):
                logging.warning("the data service at %s lost batch %d; made here.", address, step)
                yield next(iter(one_step(tf.constant(step, tf.int64))))
            else:
                raise UserError(
                    f"no worker of the data service has answered for {SILENCE_SECONDS:.0f} s; start"
                    f" some (burn-tf data serve --dispatcher {address}) and run the same command "
                    f"again. Received: {address!r}"
                )


class _Reader:
    """Takes batches from the service in a thread, so that waiting for them can end."""

    def __init__(self, dataset: tf.data.Dataset) -> None:
        self.answered = False
        self.finished = False
        self._waited = 0.0  # seconds, since the last arrival
        self._dataset = dataset
        self._queue: queue.Queue[Any] = queue.Queue(_READY)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> _Reader:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()

    def next(self, patient: bool) -> tuple[int, Any] | None:
        """The next batch that arrives; None after the last one or a silence.

        A silence counts from the last arrival: whoever asks again during one waits for what is
        left of it, so that many lost batches cost no more than one.

        Raises:
            tf.errors.OpError: what went wrong in a worker.
        """
        if self.finished:
            return None
        patience = SILENCE_SECONDS if patient else SILENCE_SECONDS / 4
        left = max(patience - self._waited, 0.0)
        try:
            arrived = self._queue.get(block=left > 0, timeout=left)
        except queue.Empty:
            self._waited += left
            return None
        self._waited = 0.0
        if isinstance(arrived, Exception):
            raise arrived
        self.finished = arrived is None
        self.answered = self.answered or not self.finished
        return arrived

    def _read(self) -> None:
        try:
            for step, element in self._dataset:
                if not self._put((int(step), element)):
                    return
            self._put(None)
        except tf.errors.OpError as error:
            self._put(error)

    def _put(self, item: Any) -> bool:
        while not self._stop.is_set():
            try:
                self._queue.put(item, timeout=0.2)
            except queue.Full:
                continue
            return True
        return False
