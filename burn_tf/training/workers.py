"""One process among those that train together: its share of the data, what the chief hands over."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.training.peers import PeerWatch, lost_line

# Values that are shared at a time.
_BLOCK = 1 << 22
# What TensorFlow raises in all workers that are left when one is gone.
_LOST_ERRORS = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
)


class LostWorker(UserError):
    """Another worker has ended or is out of reach; the message says what TensorFlow saw of it."""


class Workers:
    """All processes that train together, seen from one of them; one process alone by default.

    The chief alone writes files. What the others need of them it hands over (`from_chief`,
    `take_weights`), so that workers share no folder.

    Args:
        strategy: TensorFlow's; None: one device.
        number: the place of this process among all; 0 is the chief.
        count: processes.
        watch: of the other workers, where there are any; already started.

    Example:
        >>> from burn_tf.training.workers import Workers
        >>> alone = Workers()
        >>> alone.is_chief, alone.replicas, alone.from_chief(lambda: {"step": 3})
        (True, 1, {'step': 3})
    """

    def __init__(
        self,
        strategy: tf.distribute.Strategy | None = None,
        number: int = 0,
        count: int = 1,
        watch: PeerWatch | None = None,
    ) -> None:
        self.strategy = tf.distribute.get_strategy() if strategy is None else strategy
        self.number, self.count, self._watch = number, count, watch
        self.replicas = int(self.strategy.num_replicas_in_sync)
        self._take_first: Any = None
        self._count_set: Any = None

    @property
    def is_chief(self) -> bool:
        """Whether this process writes what is written."""
        return self.number == 0

    def describe(self) -> str:
        """Which of the processes this is, and how many replicas there are, for the log."""
        replicas = f"{self.replicas} replica{'s' if self.replicas > 1 else ''} in all"
        return f"worker {self.number} of {self.count}, {replicas}"

    def check_batch(self, batch_size: int) -> None:
        """Raise unless the global batch can be shared out evenly over the replicas."""
        if batch_size % self.replicas:
            below = batch_size - batch_size % self.replicas
            nearest = f"{below} or {below + self.replicas}" if below else f"{self.replicas}"
            raise UserError(
                f"`batch_size` must be a multiple of the {self.replicas} replicas, which share it: "
                f"set {nearest}. Received: {batch_size}"
            )

    def batches(
        self, make: Callable[[int, int], tf.data.Dataset], batch_size: int
    ) -> tf.data.Dataset | tf.distribute.DistributedDataset:
        """This process's part of the training data, ready for `fit`.

        Args:
            make: from (number of shares, number of this share) to the dataset of that share of
                every global batch, in order.
            batch_size: images in a global batch.
        """
        if self.replicas == 1:
            return make(1, 0)
        self.check_batch(batch_size)

        def of_this_process(context: tf.distribute.InputContext) -> tf.data.Dataset:
            shares = context.num_input_pipelines
            dataset = make(shares, context.input_pipeline_id)
            if shares < self.replicas:
                dataset = dataset.rebatch(batch_size // self.replicas, drop_remainder=True)
            # Endless to the strategy: it would ask all workers before every step if one is done.
            return dataset.repeat().prefetch(tf.data.AUTOTUNE)

        return self.strategy.distribute_datasets_from_function(of_this_process)

    def scope(self) -> contextlib.AbstractContextManager[Any]:
        """Where networks and optimizers are made."""
        return self.strategy.scope()

    def local(self, variables: Sequence[tf.Variable]) -> list[tf.Variable]:
        """This process's own copy of each: reading it waits for no other worker."""
        return [self.strategy.experimental_local_results(variable)[0] for variable in variables]

    def from_chief(self, action: Callable[[], Any]) -> Any:
        """What `action` returns on the chief (values that JSON can hold), on every worker.

        Only the chief runs it. A `UserError` that it raises there is raised on all.
        """
        if self.count == 1:
            return action()
        error: UserError | None = None
        message: dict[str, Any] = {}
        if self.is_chief:
            try:
                message = {"value": action()}
            except UserError as raised:
                error, message = raised, {"error": str(raised)}
        message = json.loads(self._share(json.dumps(message).encode()))
        if error is not None:
            raise error
        if "error" in message:
            raise UserError(message["error"])
        return message["value"]

    def file_from_chief(self, path: Path) -> bytes:
        """The bytes of a file that the chief has, on every worker."""
        return self._share(path.read_bytes() if self.is_chief else b"")

    def check_same(self, what: str, value: Any) -> None:
        """Raise where this worker's JSON value differs from the chief's."""
        mine = json.loads(json.dumps(value))
        theirs = self.from_chief(lambda: mine)
        if theirs != mine:
            raise UserError(
                f"all workers must have the same {what}: start them with one command and the same "
                f"images. Received: on worker {self.number} other than the chief's"
            )

    def take_weights(self, variables: Sequence[tf.Variable]) -> None:
        """Give every replica the values of the chief's first, bit for bit."""
        if self.replicas == 1:
            return
        for variable in variables:
            # Each copy by itself: to read one of batch norm as a whole is to ask all workers.
            copies = self.strategy.experimental_local_results(variable)
            value = copies[0].numpy()
            if self.count > 1:
                data = self._share(value.tobytes() if self.is_chief else b"")
                value = np.frombuffer(data, value.dtype).reshape(value.shape)
            for copy in copies:
                copy.assign(value)

    def own_copy(self, network: tf.keras.Model) -> tf.keras.Model:
        """A network to save: outside the strategy, where saving waits for no other worker."""
        if self.replicas == 1:
            return network
        clone = tf.keras.models.clone_model(network)
        clone.set_weights([variable.numpy() for variable in self.local(network.weights)])
        return clone

    def wait(self) -> None:
        """Return when every worker has come here."""
        if self.count > 1:
            self._share(b"")

    def wait_to_leave(self) -> None:
        """`wait` for the last time: whoever has come may be gone before all others know of it."""
        with contextlib.suppress(*_LOST_ERRORS):
            self.wait()

    def any_of(self, flags: Sequence[bool]) -> list[bool]:
        """For each flag, whether any worker has it set; all workers ask together."""
        if self.count == 1:
            return list(flags)
        if self._count_set is None:
            self._count_set = _summed(self.strategy, lambda values, first: values)
        return [count > 0 for count in self._run(self._count_set, np.array(flags, np.int32))]

    def part(self) -> None:
        """From here on the other workers may end: they are no longer watched."""
        if self._watch is not None:
            self._watch.stop()

    @contextlib.contextmanager
    def losses_named(self) -> Iterator[None]:
        """Turn TensorFlow's errors about a worker that is gone into a `LostWorker`."""
        try:
            yield
        except _LOST_ERRORS as error:
            if self.count == 1:
                raise
            raise LostWorker(lost_line(tensorflow_line(str(error)))) from error

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            with self.losses_named():
                self.wait()
        # Until a lost worker's error has ended this process, the watch stays.
        if not isinstance(error, LostWorker):
            self.part()

    def _share(self, data: bytes) -> bytes:
        """The chief's bytes, on every worker; other workers' own are left out."""
        padded = data + bytes(-len(data) % 4)
        words = np.frombuffer(padded, np.int32) if self.is_chief else np.zeros(0, np.int32)
        length = int(self._first(np.array([len(data)], np.int32))[0])
        count = (length + 3) // 4
        words = words if self.is_chief else np.zeros(count, np.int32)
        parts = [self._first(words[at : at + _BLOCK]) for at in range(0, count, _BLOCK)]
        return b"".join(part.tobytes() for part in parts)[:length]

    def _first(self, words: np.ndarray) -> np.ndarray:
        """The first replica's values: a sum over all, to which the others give zeros."""
        if self._take_first is None:
            self._take_first = _summed(
                self.strategy, lambda values, first: tf.where(first, values, tf.zeros_like(values))
            )
        return self._run(self._take_first, words)

    def _run(self, function: Any, values: np.ndarray) -> np.ndarray:
        return np.asarray(self.strategy.experimental_local_results(function(values))[0])


def _summed(
    strategy: tf.distribute.Strategy, give: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
) -> Any:
    """A function that sums int32 [N] over replicas; `give` is what each of them adds."""

    def own(values: tf.Tensor) -> tf.Tensor:
        context = tf.distribute.get_replica_context()
        # A function's argument lies on no device, and TensorFlow sums only what lies on one.
        given = tf.identity(give(values, tf.equal(context.replica_id_in_sync_group, 0)))
        return context.all_reduce(tf.distribute.ReduceOp.SUM, given)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int32)], autograph=False)
    def total(values: tf.Tensor) -> tf.Tensor:
        return strategy.run(own, args=(values,))

    return total


def tensorflow_line(message: str) -> str:
    """The line of TensorFlow's message that says something of a worker, shortened."""
    # Which worker it is may stand in the line that follows a colon.
    lines = [" ".join(line.split()) for line in message.replace(":\n", ": ").splitlines()]
    named = [line for line in lines if re.search(r"/task:\d|ipv[46]:|aborted", line)]
    line = (named or [line for line in lines if line] or ["no message"])[0]
    return line if len(line) <= 200 else line[:197] + "..."
