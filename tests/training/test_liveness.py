"""Peaks of small graphs, counted by hand."""

from __future__ import annotations

from burn_tf.training.liveness import Operation, Sharing, peak_bytes


def test_chain_frees_what_was_read() -> None:
    # 100 -> 40 -> 70: at the worst moment 100 and 40 are held, then 40 and 70.
    chain = [
        Operation(outputs=(100,)),
        Operation(reads=((0, 0),), outputs=(40,)),
        Operation(reads=((1, 0),), outputs=(70,)),
    ]
    assert peak_bytes(chain) == 140


def test_forward_and_backward_pass() -> None:
    # Three layers keep their outputs for the gradients, which are made from behind. At the last
    # layer's gradient 10 + 20 + 30 saved bytes and the gradient's 30 are held; afterwards each
    # gradient takes the place of what it frees.
    graph = [
        Operation(outputs=(10,)),
        Operation(reads=((0, 0),), outputs=(20,)),
        Operation(reads=((1, 0),), outputs=(30,)),
        Operation(reads=((2, 0),), outputs=(30,)),
        Operation(reads=((1, 0), (3, 0)), outputs=(20,)),
        Operation(reads=((0, 0), (4, 0)), outputs=(10,)),
    ]
    assert peak_bytes(graph) == 90
    assert peak_bytes(graph, workers=1) == 90


def pair(sharing: Sharing, sizes: tuple[int, int] = (50, 50), late_reader: bool = False) -> int:
    graph = [Operation(outputs=(sizes[0],)), Operation(((0, 0),), (sizes[1],), sharing)]
    reads = ((1, 0), (0, 0)) if late_reader else ((1, 0),)
    return peak_bytes([*graph, Operation(reads=reads, outputs=(1,))])


def test_who_shares_memory() -> None:
    assert pair("own") == 100
    assert pair("alias") == pair("in_place") == 51
    # An alias lives as long as what it is seen from; nothing is overwritten that is read later.
    assert pair("alias", late_reader=True) == 51
    assert pair("in_place", late_reader=True) == 101
    # Another size is another piece of memory.
    assert pair("in_place", (50, 49)) == 99


def test_weights_are_counted_elsewhere() -> None:
    for sharing, expected in (("kept", 10), ("given", 0)):
        weight = Operation(outputs=(10,), sharing=sharing)  # type: ignore[arg-type]
        assert peak_bytes([weight, Operation(((0, 0),), (10,), "in_place")]) == expected


def test_inner_bytes_are_given_back() -> None:
    # A loop that needs 500 inside and leaves 20, beside 30 that live on.
    graph = [
        Operation(outputs=(30,)),
        Operation(reads=((0, 0),), outputs=(20,), inner_bytes=500),
        Operation(reads=((0, 0), (1, 0)), outputs=(100,)),
    ]
    assert peak_bytes(graph) == 530
    loop = Operation(reads=((0, 0),), outputs=(30,), sharing="alias", inner_bytes=5)
    assert peak_bytes([graph[0], loop]) == 35


def test_outputs_that_nobody_reads_are_freed_at_once() -> None:
    graph = [
        Operation(outputs=(10, 1000)),
        Operation(reads=((0, 0),), outputs=(995,)),
    ]
    assert peak_bytes(graph) == 1010


def test_waiting_for_an_operation_keeps_it_behind() -> None:
    # Two large tensors, each read by one small one. Free to run together they are held at once;
    # with the second waiting for the first one's reader they are not.
    large = 1_000_000
    free = [
        Operation(outputs=(large,)),
        Operation(reads=((0, 0),), outputs=(8,)),
        Operation(outputs=(large,)),
        Operation(reads=((2, 0),), outputs=(8,)),
        Operation(reads=((1, 0), (3, 0)), outputs=(8,)),
    ]
    waiting = [*free[:2], free[2]._replace(after=(1,)), *free[3:]]
    assert peak_bytes(free) >= 2 * large
    assert peak_bytes(waiting) == large + 16


def test_a_long_branch_is_followed_to_its_end() -> None:
    # Twenty branches of a large tensor each that shrinks to 8 bytes. One worker that finishes a
    # branch before it begins the next holds one large tensor; begun all at once they are twenty.
    large = 1_000_000
    graph = [Operation(outputs=(large,))]
    ends = []
    for _ in range(20):
        graph.append(Operation(reads=((0, 0),), outputs=(large,)))
        graph.append(Operation(reads=((len(graph) - 1, 0),), outputs=(8,)))
        ends.append((len(graph) - 1, 0))
    graph.append(Operation(reads=tuple(ends), outputs=(8,)))
    assert peak_bytes(graph, workers=1) <= 2 * large + 21 * 8
    assert peak_bytes(graph, workers=2) <= 3 * large + 21 * 8
