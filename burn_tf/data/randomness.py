"""Random numbers that are functions of (seed, epoch, image index, view, slot) and of nothing else.

TensorFlow's stateless generators take one seed per call: a batch whose images each need their own
stream would need one call per image (0.1 ms each). A counter-based hash does the whole batch in a
few vector operations.
"""

from __future__ import annotations

import math
from typing import Any

import tensorflow as tf

_GOLDEN = 0x9E3779B97F4A7C15
_MIX_1 = 0xBF58476D1CE4E5B9
_MIX_2 = 0x94D049BB133111EB
_ROUNDS = 8


def _constant(value: int) -> tf.Tensor:
    return tf.constant(value, tf.uint64)


def _mix(state: tf.Tensor) -> tf.Tensor:
    """SplitMix64's finaliser: every input bit reaches every output bit."""
    shift = tf.bitwise.right_shift
    state = tf.bitwise.bitwise_xor(state, shift(state, _constant(30))) * _constant(_MIX_1)
    state = tf.bitwise.bitwise_xor(state, shift(state, _constant(27))) * _constant(_MIX_2)
    return tf.bitwise.bitwise_xor(state, shift(state, _constant(31)))


def _absorb(state: tf.Tensor, word: tf.Tensor) -> tf.Tensor:
    # The state goes through once more than the word: (seed, epoch) must not equal (epoch, seed).
    return _mix(_mix(state + _constant(_GOLDEN)) + _mix(tf.cast(word, tf.uint64)))


def uniform(seed: int, epoch: Any, index: Any, view: Any, slots: int) -> tf.Tensor:
    """Uniform numbers in [0, 1).

    Args:
        seed: any Python integer; taken modulo 2**64.
        epoch: integer tensor that broadcasts against `index`.
        index: int64 [...], number of the image in its source.
        view: number of the view.
        slots: how many numbers each image gets.

    Returns:
        float32 [..., slots], multiples of 2**-24.
    """
    state = _mix(_constant((seed + _GOLDEN) % 2**64))
    for word in (tf.cast(epoch, tf.int64), tf.cast(index, tf.int64), tf.cast(view, tf.int64)):
        state = _absorb(state, word)
    steps = tf.range(1, slots + 1, dtype=tf.int64)
    bits = _mix(state[..., None] + tf.cast(steps, tf.uint64) * _constant(_GOLDEN))
    # Through int32: 24 bits fit a float32 exactly, so 1.0 is never reached by rounding.
    return (
        tf.cast(tf.cast(tf.bitwise.right_shift(bits, _constant(40)), tf.int32), tf.float32)
        * 2.0**-24
    )


def shuffled(seed: int, epoch: tf.Tensor, position: tf.Tensor, size: int) -> tf.Tensor:
    """Image index at each position of an epoch's random order; no table of the order is built.

    A position is written as (row, column) of a grid of about sqrt(size) on each side. Each round
    turns every row, or every column, by its own random amount: a Feistel network, hence one to
    one. What lands outside 0..size-1 goes through again until it is inside.
    (`tf.random.experimental.index_shuffle` of TensorFlow 2.21 repeated 132 orders of 100 images
    among 4,000 keys, and gave some orders of five twice as often as others.)

    Args:
        seed: any Python integer.
        epoch: int64 scalar.
        position: int64 [B], values in 0..size-1.
        size: number of images.

    Returns:
        int64 [B]; over all positions a permutation of 0..size-1.
    """
    rows = max(1, math.isqrt(size - 1) + 1)
    columns = -(-size // rows)
    key = _absorb(_mix(_constant((seed + _GOLDEN) % 2**64)), epoch)

    def turned(place: tf.Tensor, other: tf.Tensor, length: int, number: int) -> tf.Tensor:
        word = _mix(key + _constant(number * _GOLDEN % 2**64) + tf.cast(other, tf.uint64))
        amount = tf.cast(tf.bitwise.right_shift(word, _constant(32)), tf.int64)
        return (place + amount) % length

    def permuted(place: tf.Tensor) -> tf.Tensor:
        row, column = place // columns, place % columns
        for number in range(1, _ROUNDS + 1, 2):
            row = turned(row, column, rows, number)
            column = turned(column, row, columns, number + 1)
        return row * columns + column

    def again(place: tf.Tensor, outside: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        place = tf.where(outside, permuted(place), place)
        return place, place >= size

    everyone = tf.ones_like(position, tf.bool)
    return tf.while_loop(lambda _, outside: tf.reduce_any(outside), again, (position, everyone))[0]
