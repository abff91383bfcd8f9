"""A ring of the newest keys of earlier batches: the negatives of MoCo."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from burn_tf._checks import UserError, check_integer, check_range

# Rows that are read at a time: they and their logits stay in the processor's cache.
_BLOCK_ROWS = 8192


class KeyQueue:
    """The newest `size` keys, each of length `dim`, in float32.

    Contrast never reads the keys as a whole: TensorFlow copies a variable of which parts were
    written when it is read, 32 MB for 65,536 keys of length 128. `log_sum_exp` walks over blocks of
    8,192 keys in place of it and finds its gradient on the way. 256 queries, those keys, value,
    gradient and push on two cores: 60.4 ms and no memory that a process would grow by, in place of
    91.1 ms and 216 MB for one matrix product (`python benchmarks/key_queue.py`, 2026-11-22, commit
    a24ff9c).

    A Keras model saves `keys` and `position` when they are attributes of its own.

    Args:
        size: keys that are kept, >= 1; 65,536 in MoCo's paper.
        dim: length of a key, >= 1.
        seed: of the random unit vectors that fill the queue at the start.

    Raises:
        UserError: for a size below 1.

    Example:
        >>> queue = KeyQueue(size=4, dim=2)
        >>> queue.push(tf.constant([[1.0, 0.0], [0.0, 1.0]]))
        >>> queue.keys[:2].numpy().tolist(), int(queue.position)
        ([[1.0, 0.0], [0.0, 1.0]], 2)

    Source: He et al., Momentum Contrast, CVPR 2020, sec. 3.2 and Alg. 1, arXiv 1911.05722.
    Departs from source: none.
    """

    def __init__(self, size: int, dim: int, seed: int = 0) -> None:
        self.size = check_integer("queue_size", size, low=1)
        dim = check_integer("embedding_dim", dim, low=1)
        rows = np.random.default_rng(seed).standard_normal((size, dim), dtype=np.float32)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        self.keys = tf.Variable(rows, trainable=False, name="queue_keys")
        self.position = tf.Variable(0, trainable=False, dtype=tf.int64, name="queue_position")

    def check_batch(self, batch_size: int) -> None:
        """Raise unless whole batches fill the queue exactly."""
        if self.size % batch_size:
            raise UserError(
                "`queue_size` must be a multiple of the batch size (over all replicas), so that "
                f"whole batches fill it. Received: queue_size={self.size}, batch {batch_size}"
            )

    def push(self, rows: tf.Tensor) -> None:
        """Replace the oldest keys by `rows` [N, dim]; N divides `size`."""
        start = tf.identity(self.position)
        count = tf.shape(rows, out_type=tf.int64)[0]
        self.keys[start : start + count].assign(tf.cast(rows, tf.float32))
        self.position.assign((start + count) % self.size)

    def log_sum_exp(self, queries: tf.Tensor, temperature: float) -> tf.Tensor:
        """log sum_n exp(<q, key_n> / T) of each query; the gradient goes to the queries alone.

        Args:
            queries: [B, dim] float32.
            temperature: T > 0.

        Returns:
            [B] float32.
        """
        check_range("temperature", temperature, low=0.0, low_open=True)

        @tf.custom_gradient
        def streamed(vectors: tf.Tensor) -> tuple[tf.Tensor, object]:
            highest, total, mean = self._walk(vectors, temperature)

            def gradient(upstream: tf.Tensor) -> tf.Tensor:
                return upstream[:, tf.newaxis] * mean / temperature

            return highest + tf.math.log(total), gradient

        return streamed(queries)

    def _walk(
        self, queries: tf.Tensor, temperature: float
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Highest logit [B], sum of exp(logit - highest) [B], softmax-weighted mean key [B, d]."""
        shape = tf.shape(queries)
        whole = self.size - self.size % _BLOCK_ROWS

        # XLA, and a TPU with it, needs to know how many rows are read.
        def read(
            count: int, start: tf.Tensor, highest: tf.Tensor, total: tf.Tensor, summed: tf.Tensor
        ) -> tuple[tf.Tensor, ...]:
            rows = tf.gather(self.keys, start + tf.range(count))
            logits = tf.matmul(queries, rows, transpose_b=True) / temperature
            higher = tf.maximum(highest, tf.reduce_max(logits, axis=1, keepdims=True))
            weights, kept = tf.exp(logits - higher), tf.exp(highest - higher)
            total = total * kept + tf.reduce_sum(weights, axis=1, keepdims=True)
            return start + count, higher, total, summed * kept + tf.matmul(weights, rows)

        nothing = tf.zeros([shape[0], 1])
        state = (tf.constant(0), nothing + tf.float32.min, nothing, tf.zeros(shape))
        if whole:
            state = tf.while_loop(
                lambda start, *_: start < whole,
                lambda *block: read(_BLOCK_ROWS, *block),
                state,
                parallel_iterations=1,
            )
        if whole < self.size:
            state = read(self.size - whole, *state)
        _, highest, total, summed = state
        return highest[:, 0], total[:, 0], summed / total
