"""An epoch of the linear probe on kept features against its matrix products alone.

    python benchmarks/linear_probe.py [--rows 16384] [--dim 1024] [--classes 1000] [--rounds 3]
                                      [--threads 1]

prints one JSON line: name, ours and reference (milliseconds of processor time per batch of 256),
ratio (ours / reference, at most 1.5 is what the project promises). The reference is the three
products of a linear layer's step (logits, gradient by the weights, gradient by the features) on
rows that are in memory, in order and in float32, nothing else. The probe needs no gradient by the
features: `two_products` is what it has to do, and `ratio_to_two` the stricter figure. Ours reads
random rows of a mapped float16 file, and has softmax, loss, momentum and the check in it.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

# isort: off
from burn_tf.evaluation import LinearProbe

import numpy as np
import tensorflow as tf

BATCH = 256


def epochs_of_the_probe(
    features: np.ndarray, labels: np.ndarray, classes: int
) -> Callable[[int], float]:
    """Seconds of processor time for a number of epochs, what is done once among it."""

    def run(epochs: int) -> float:
        probe = LinearProbe(learning_rate=0.1, epochs=epochs, batch_size=BATCH)
        begin = time.process_time()
        probe.fit_scores(features, labels, features[:1], classes)
        return time.process_time() - begin

    return run


def products(features: np.ndarray, classes: int, count: int) -> Callable[[], float]:
    """Seconds of processor time for an epoch of two or three products on rows in order."""
    rows = tf.constant(np.asarray(features[: 16 * BATCH], np.float32))
    weights = tf.random.normal([features.shape[1], classes])
    error = tf.random.normal([BATCH, classes])

    @tf.function
    def epoch(steps: tf.Tensor) -> tf.Tensor:
        total = tf.constant(0.0)
        for step in tf.range(steps):
            first = (step % 16) * BATCH
            batch = rows[first : first + BATCH]
            # A value of each product is used, so that none of them is optimised away.
            logits = tf.matmul(batch, weights)
            used = tf.matmul(batch, error + logits[0, 0], transpose_a=True)[0, 0]
            if count == 3:
                used += tf.matmul(error + used, weights, transpose_b=True)[0, 0]
            total += used
        return total

    epoch(tf.constant(1))
    steps = tf.constant(len(features) // BATCH)

    def run() -> float:
        begin = time.process_time()
        float(epoch(steps))
        return time.process_time() - begin

    return run


def measure(flags: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """The JSON record: best of some rounds in which the sides take turns."""
    generator = np.random.default_rng(0)
    file = np.lib.format.open_memmap(folder / "bank.npy", "w+", np.float16, (flags.rows, flags.dim))
    file[:] = generator.standard_normal((flags.rows, flags.dim), np.float32)
    file.flush()
    features = np.load(folder / "bank.npy", mmap_mode="r")
    labels = generator.integers(0, flags.classes, flags.rows)
    probe = epochs_of_the_probe(features, labels, flags.classes)
    three, two = (products(features, flags.classes, count) for count in (3, 2))
    rounds = [(probe(3) - probe(1), 2 * three(), 2 * two()) for _ in range(flags.rounds)]
    batches = 2 * -(-flags.rows // BATCH)
    ours, reference, floor = (1e3 * min(side) / batches for side in zip(*rounds, strict=True))
    return {
        "name": f"linear_probe_{flags.dim}x{flags.classes}",
        "unit": "ms/batch",
        "ours": round(ours, 2),
        "reference": round(reference, 2),
        "ratio": round(ours / reference, 2),
        "target": 1.5,
        "two_products": round(floor, 2),
        "ratio_to_two": round(ours / floor, 2),
        "threads": flags.threads,
        "load": round(os.getloadavg()[0], 1),
    }


def main() -> None:
    """Prints the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("rows", 16384), ("dim", 1024), ("classes", 1000), ("rounds", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--threads", type=int, default=1)
    flags = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(flags.threads)
    tf.config.threading.set_inter_op_parallelism_threads(flags.threads)
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measure(flags, Path(folder))), flush=True)


if __name__ == "__main__":
    main()
