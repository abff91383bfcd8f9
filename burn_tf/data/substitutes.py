"""Sound records in the places of damaged ones: a run keeps its number of images and their order."""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
import tensorflow as tf
from absl import logging

from burn_tf.data.records import FRAME_BYTES, Records, image_of

_CURE = "a sound one is shown in its place; `burn-tf data check` names all, pack the data anew"

Reader = Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]


def next_sound(damaged: np.ndarray, labels: np.ndarray | None) -> np.ndarray:
    """What is shown at each position: itself, or the next sound one of its class, round and round.

    Of a class without any it is the next sound one of all.

    Args:
        damaged: bool [N], not all of them.
        labels: int64 [N], or None for one class.

    Returns:
        int64 [N].
    """
    order, sound = np.arange(len(damaged)), np.flatnonzero(~damaged)
    classes = np.zeros(len(damaged), np.int64) if labels is None else labels
    for label in np.unique(classes[damaged]):
        lost = np.flatnonzero(damaged & (classes == label))
        own = sound[classes[sound] == label]
        peers = own if len(own) else sound
        order[lost] = peers[np.searchsorted(peers, lost) % len(peers)]
    return order


def _following(labels: np.ndarray | None, number: int) -> np.ndarray:
    """int64 [N]: the next position of the same class, after the last one the first."""
    if labels is None:
        return (np.arange(number) + 1) % number
    following = np.zeros(number, np.int64)
    for label in np.unique(labels):
        own = np.flatnonzero(labels == label)
        following[own] = np.roll(own, -1)
    return following


def image_reader(records: Records, labels: np.ndarray | None, python: bool = True) -> Reader:
    """A graph function: int64 index -> the bytes of an image file, and the index that they are of.

    That is another index where the record is damaged: the next sound one of the same class, so that
    labels may be looked up by either. One line tells of it. What cannot be read for another reason
    (a file that is gone), and a class without any sound record, raise the error of the record.

    Args:
        records: where the images lie; strict ones raise `tf.errors.DataLossError` at damage.
        labels: int64 [N], or None for one class.
        python: whether the graph stays in this process; else its line goes to standard error of the
            process that reads, at every reading.
    """
    read = records.reader()
    if records.strict or records.held is not None:
        return lambda index: (read(index), index)
    attempt = records.attempt()
    tell = _Teller(records) if python else _print
    with tf.init_scope(), tf.device("CPU:0"):
        following = tf.constant(_following(labels, len(records)), tf.int64)

    def step(at: tf.Tensor, _: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        at = tf.gather(following, at)
        return at, attempt(at)

    def substitute(index: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        def missing(at: tf.Tensor, record: tf.Tensor) -> tf.Tensor:
            return tf.equal(record, b"") & tf.not_equal(at, index)

        found = step(index, tf.constant(b""))
        at, record = tf.while_loop(missing, step, found, parallel_iterations=1)
        alone = tf.equal(at, index)
        return tf.cond(alone, lambda: read(index), lambda: image_of(record)), at

    def other(index: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return tf.cond(tell(index), lambda: substitute(index), lambda: (read(index), index))

    def sound(index: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        index = tf.cast(index, tf.int64)
        record = attempt(index)
        return tf.cond(
            tf.equal(record, b""), lambda: other(index), lambda: (image_of(record), index)
        )

    return sound


class _Teller:
    """Counts the damaged records that are met, and tells of the 1st, the 10th, the 100th, ..

    Called with an index in a graph it gives whether its record is damaged, and not out of reach.
    """

    def __init__(self, records: Records) -> None:
        self._records = records
        self._met: set[int] = set()

    def __call__(self, index: tf.Tensor) -> tf.Tensor:
        return tf.ensure_shape(tf.numpy_function(self._note, [index], tf.bool, stateful=False), [])

    def _note(self, index: np.int64) -> np.bool_:
        records, i = self._records, int(index)
        path = records.shards[records.shard[i]]
        try:
            with open(path, "rb") as file:
                file.seek(records.offsets[i])
                file.read(int(records.lengths[i]) + FRAME_BYTES)
        except OSError:
            return np.bool_(False)
        if i not in self._met:
            self._met.add(i)
            self._tell(records.names[i].decode(), path)
        return np.bool_(True)

    def _tell(self, name: str, path: str) -> None:
        number = len(self._met)
        if str(number).strip("0") == "1":
            what = "damaged image(s) met so far, last"
            logging.warning("%d %s: %s in %s; %s.", number, what, name, path, _CURE)


def _print(index: tf.Tensor) -> tf.Tensor:
    """Tell of a damaged record where there is no Python of ours."""
    line = tf.print("damaged image met, number", index, ";", _CURE, output_stream=sys.stderr)
    with tf.control_dependencies([] if line is None else [line]):
        return tf.constant(True)
