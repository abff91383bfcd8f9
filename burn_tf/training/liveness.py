"""How many bytes of tensors a graph holds at its worst moment, found by playing it through.

The player does what TensorFlow's executor does on a CPU: every worker follows the chain of what its
last operation made ready, cheap operations first; other ready work goes to the front of its queue,
and an idle worker takes from the back of another's. A tensor lives until its last reader has run.
"""

from __future__ import annotations

import collections
import heapq
from collections.abc import Sequence
from typing import Literal, NamedTuple

# "own": new memory. "alias": output i is input i seen otherwise. "in_place": takes the memory of an
# input of the same size that nobody else needs. "given": counted elsewhere, may be overwritten.
# "kept": counted elsewhere and never freed, as weights are.
Sharing = Literal["own", "alias", "in_place", "given", "kept"]

# An operation on less than this is run on the spot, as its successors are at hand.
_CHEAP_BYTES = 32_768
# Bytes that a unit of time is long at least, so that many small operations take time too.
_LEAST_BYTES = 4_096


class Operation(NamedTuple):
    """One operation of a graph, in an order in which it could run.

    Attributes:
        reads: tensors as (place of the operation that makes it, number of its output).
        outputs: bytes of each output.
        sharing: whose memory the outputs are.
        after: places of operations that it waits for without reading them.
        inner_bytes: what it needs while it runs and gives back, its outputs included.
    """

    reads: tuple[tuple[int, int], ...] = ()
    outputs: tuple[int, ...] = ()
    sharing: Sharing = "own"
    after: tuple[int, ...] = ()
    inner_bytes: int = 0


class _Buffer:
    """Memory of one or several tensors: its size, readers to come, whether it is counted here."""

    def __init__(self, size: int, counted: bool, frozen: bool = False) -> None:
        self.size, self.counted, self.frozen = size, counted, frozen
        self.readers = 0


def peak_bytes(operations: Sequence[Operation], workers: int = 2) -> int:
    """The most bytes that are held at once while a graph runs.

    Args:
        operations: the graph, every operation behind those that it reads from or waits for.
        workers: threads that run operations at the same time; >= 1.

    Returns:
        Bytes of all tensors but those that are "given" or "kept".

    Example:
        >>> chain = [Operation(outputs=(8,)), Operation(reads=((0, 0),), outputs=(2,))]
        >>> peak_bytes(chain)
        10
    """
    memory = _Memory(operations)
    _Executor(operations, memory, workers).run()
    return memory.peak


class _Memory:
    """Bytes held now and at most."""

    def __init__(self, operations: Sequence[Operation]) -> None:
        self.operations = operations
        self.held = self.peak = 0
        self._buffers: dict[tuple[int, int], _Buffer] = {}
        self._readers = collections.Counter(
            tensor for operation in operations for tensor in operation.reads
        )

    def begin(self, place: int) -> None:
        """An operation starts: what it writes is there from now on."""
        operation = self.operations[place]
        if operation.inner_bytes:
            self._hold(operation.inner_bytes)
        else:
            self._make_outputs(place)

    def end(self, place: int) -> None:
        """It is done: what nobody reads any more is freed."""
        operation = self.operations[place]
        if operation.inner_bytes:
            self.held -= operation.inner_bytes
            self._make_outputs(place)
        for tensor in operation.reads:
            buffer = self._buffers[tensor]
            buffer.readers -= 1
            self._free_unread(buffer)
        for number in range(len(operation.outputs)):
            self._free_unread(self._buffers[place, number])

    def _make_outputs(self, place: int) -> None:
        operation = self.operations[place]
        for number, size in enumerate(operation.outputs):
            buffer = self._shared(operation, number, size) or self._new(operation, size)
            buffer.readers += self._readers[place, number]
            self._buffers[place, number] = buffer

    def _new(self, operation: Operation, size: int) -> _Buffer:
        counted = operation.sharing not in ("given", "kept")
        if counted:
            self._hold(size)
        return _Buffer(size, counted, frozen=operation.sharing == "kept")

    def _shared(self, operation: Operation, number: int, size: int) -> _Buffer | None:
        """The memory of an input that an output takes over, if there is one."""
        inputs = [self._buffers[tensor] for tensor in operation.reads]
        if operation.sharing == "alias" and number < len(inputs):
            return inputs[number] if inputs[number].size == size else None
        if operation.sharing != "in_place" or number:
            return None
        for buffer in inputs:
            mine = sum(other is buffer for other in inputs)
            if buffer.size == size and buffer.readers == mine and not buffer.frozen:
                return buffer
        return None

    def _hold(self, size: int) -> None:
        self.held += size
        self.peak = max(self.peak, self.held)

    def _free_unread(self, buffer: _Buffer) -> None:
        if buffer.readers == 0 and buffer.counted:
            self.held -= buffer.size
            buffer.counted = False


class _Executor:
    """Runs the operations on several workers in simulated time."""

    def __init__(self, operations: Sequence[Operation], memory: _Memory, workers: int) -> None:
        self.memory = memory
        self.costs = [_touched(operations, operation) for operation in operations]
        before = [{place for place, _ in op.reads} | set(op.after) for op in operations]
        self.waiting = [len(places) for places in before]
        self.followers: list[list[int]] = [[] for _ in operations]
        for place, earlier in enumerate(before):
            for other in earlier:
                self.followers[other].append(place)
        self.chains: list[collections.deque[int]] = [collections.deque() for _ in range(workers)]
        self.queues: list[collections.deque[int]] = [collections.deque() for _ in range(workers)]
        self.idle = set(range(workers))
        self.now = 0
        self.running: list[tuple[int, int, int, int]] = []

    def run(self) -> None:
        """Play all operations."""
        roots = [place for place, count in enumerate(self.waiting) if count == 0]
        for number, place in enumerate(roots):
            self.queues[number % len(self.queues)].append(place)
        self._start_idle()
        while self.running:
            self.now, _, worker, place = heapq.heappop(self.running)
            self.memory.end(place)
            self._make_ready(worker, place)
            self.idle.add(worker)
            self._start_idle()

    def _make_ready(self, worker: int, place: int) -> None:
        """Cheap followers stay with the worker; of the others it keeps at most the last."""
        large: int | None = None
        for follower in self.followers[place]:
            self.waiting[follower] -= 1
            if self.waiting[follower]:
                continue
            if self.costs[follower] < _CHEAP_BYTES:
                self.chains[worker].append(follower)
                continue
            if large is not None:
                self.queues[worker].appendleft(large)
            large = follower
        if large is not None and self.chains[worker]:
            self.queues[worker].appendleft(large)
        elif large is not None:
            self.chains[worker].append(large)

    def _start_idle(self) -> None:
        for worker in sorted(self.idle):
            place = self._next(worker)
            if place is None:
                continue
            self.idle.discard(worker)
            self.memory.begin(place)
            end = self.now + max(self.costs[place], _LEAST_BYTES)
            heapq.heappush(self.running, (end, place, worker, place))

    def _next(self, worker: int) -> int | None:
        for own in (self.chains[worker], self.queues[worker]):
            if own:
                return own.popleft()
        for queue in self.queues:
            if queue:
                return queue.pop()
        return None


def _touched(operations: Sequence[Operation], operation: Operation) -> int:
    """Bytes that an operation reads and writes: the measure of its time."""
    read = sum(operations[place].outputs[number] for place, number in operation.reads)
    return read + sum(operation.outputs) + operation.inner_bytes
