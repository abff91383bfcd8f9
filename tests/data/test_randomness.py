"""The hash behind every random choice: known values, independence of its inputs, uniformity."""

import numpy as np
import pytest
import tensorflow as tf

from burn_tf.data import randomness

MASK = 2**64 - 1


def mix(state):
    state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & MASK
    return state ^ (state >> 31)


def oracle(seed, epoch, index, view, slot):
    """The same numbers from Python's integers."""
    golden = 0x9E3779B97F4A7C15
    state = mix((seed + golden) % 2**64)
    for word in (epoch, index, view):
        state = mix((mix((state + golden) & MASK) + mix(word & MASK)) & MASK)
    return (mix((state + (slot + 1) * golden) & MASK) >> 40) / 2**24


def test_splitmix_finaliser_gives_the_published_stream():
    # First outputs of SplitMix64 from state 1234567 (Steele, Lea, Flood 2014; its reference code).
    golden = 0x9E3779B97F4A7C15
    states = [(1234567 + i * golden) & MASK for i in (1, 2)]
    found = randomness._mix(tf.constant(states, tf.uint64)).numpy().tolist()
    assert found == [6457827717110365317, 3203168211198807973]


@pytest.mark.parametrize("seed", [0, 7, -3, 2**70 + 5])
def test_equals_python_integers(seed):
    found = randomness.uniform(seed, 3, np.array([0, 5, 2**40]), 1, 4).numpy()
    wanted = [[oracle(seed, 3, i, 1, slot) for slot in range(4)] for i in (0, 5, 2**40)]
    np.testing.assert_array_equal(found, np.array(wanted, np.float32))


def test_every_argument_changes_the_numbers():
    base = randomness.uniform(0, 0, np.array([0]), 0, 8).numpy()
    for other in ((1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1)):
        seed, epoch, index, view = other
        changed = randomness.uniform(seed, epoch, np.array([index]), view, 8).numpy()
        assert not np.any(changed == base)


def test_views_broadcast_against_one_index():
    together = randomness.uniform(4, 2, np.int64(9), np.arange(3), 5).numpy()
    one_by_one = [randomness.uniform(4, 2, np.int64(9), view, 5).numpy() for view in range(3)]
    np.testing.assert_array_equal(together, one_by_one)


def test_uniform_and_uncorrelated():
    numbers = randomness.uniform(1, 0, np.arange(20000), 0, 6).numpy().astype(np.float64)
    assert numbers.min() >= 0.0
    assert numbers.max() < 1.0
    # Standard error of a bin of 10 with 120,000 draws is 0.9 % of it: 5 of them.
    counts = np.histogram(numbers, bins=10, range=(0, 1))[0]
    np.testing.assert_allclose(counts, 12000, rtol=0.045)
    correlation = np.corrcoef(numbers.T) - np.eye(6)
    assert np.abs(correlation).max() < 5 / np.sqrt(20000)
    neighbours = np.corrcoef(numbers[:-1, 0], numbers[1:, 0])[0, 1]
    assert abs(neighbours) < 5 / np.sqrt(20000)


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_order_is_a_permutation(size):
    order = randomness.shuffled(3, tf.constant(2, tf.int64), tf.range(size, dtype=tf.int64), size)
    assert sorted(order.numpy().tolist()) == list(range(size))


def test_orders_of_epochs_and_seeds_differ():
    positions = tf.range(100, dtype=tf.int64)
    orders = {
        tuple(randomness.shuffled(seed, tf.constant(epoch, tf.int64), positions, 100).numpy())
        for seed in range(3)
        for epoch in range(3)
    }
    assert len(orders) == 9


def test_every_image_may_come_first():
    @tf.function
    def first(epoch):
        return randomness.shuffled(0, epoch, tf.zeros([1], tf.int64), 10)[0]

    counts = np.bincount([first(tf.constant(e, tf.int64)) for e in range(1000)], minlength=10)
    # 100 expected of each, deviation 9.5: five of them.
    assert np.abs(counts - 100).max() < 48


def test_every_order_of_four_is_as_likely():
    positions = tf.range(4, dtype=tf.int64)

    @tf.function
    def order(epoch):
        return randomness.shuffled(11, epoch, positions, 4)

    found = [tuple(order(tf.constant(e, tf.int64)).numpy().tolist()) for e in range(2400)]
    counts = {item: found.count(item) for item in set(found)}
    assert len(counts) == 24
    # 100 expected of each; chi-square with 23 degrees of freedom exceeds 61 once in 30,000.
    assert sum((count - 100) ** 2 / 100 for count in counts.values()) < 61
