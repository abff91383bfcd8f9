"""InfoNCE against a queue of keys: `KeyQueue.log_sum_exp` and one whole matrix product.

    python benchmarks/key_queue.py [--keys 65536] [--dim 128] [--queries 256] [--rounds 15]

prints one JSON line: median milliseconds of value, gradient and push, and the memory that a process
grew by over them, for both. Each runs in processes of its own, in turns, on the same two cores.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
CORES = 2
TURNS = 2
WARMUP = 3
TEMPERATURE = 0.2
SIDES = ("in_blocks", "whole")


def worker(side: str, keys: int, dim: int, queries: int, rounds: int) -> None:
    """Prints the seconds of each round and the growth of memory in MB."""
    # isort: off
    from burn_tf.methods import KeyQueue  # first: it selects Keras 2
    import tensorflow as tf

    # isort: on
    tf.config.threading.set_intra_op_parallelism_threads(CORES)
    queue = KeyQueue(keys, dim)

    def whole(vectors: Any) -> Any:
        logits = tf.matmul(vectors, queue.keys, transpose_b=True) / TEMPERATURE
        return tf.reduce_logsumexp(logits, axis=1)

    @tf.function
    def step(vectors: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(vectors)
            value = queue.log_sum_exp(vectors, TEMPERATURE) if side == SIDES[0] else whole(vectors)
        gradient = tape.gradient(value, vectors)
        with tf.control_dependencies([value, gradient]):
            queue.push(vectors)
        return tf.reduce_sum(gradient) + tf.reduce_sum(value)

    images = tf.math.l2_normalize(tf.random.stateless_normal([queries, dim], [0, 1]), axis=1)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds = []
    for _ in range(WARMUP + rounds):
        begin = time.perf_counter()
        float(step(images))
        seconds.append(time.perf_counter() - begin)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(json.dumps({"seconds": seconds[WARMUP:], "mb": grown // 1024}))


def main(argv: Sequence[str] | None = None) -> None:
    """Prints the JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("keys", 65_536), ("dim", 128), ("queries", 256), ("rounds", 15)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--worker", choices=SIDES, help=argparse.SUPPRESS)
    flags = parser.parse_args(argv)
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    sizes = (flags.keys, flags.dim, flags.queries, flags.rounds)
    if flags.worker:
        worker(flags.worker, *sizes)
        return
    names = ("keys", "dim", "queries", "rounds")
    words = [f"--{name}={value}" for name, value in zip(names, sizes, strict=True)]
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent), "TF_CPP_MIN_LOG_LEVEL": "3"}
    seconds: dict[str, list[float]] = {side: [] for side in SIDES}
    memory: dict[str, int] = {}
    for _ in range(TURNS):
        for side in SIDES:
            command = [sys.executable, str(Path(__file__).resolve()), *words, "--worker", side]
            done = subprocess.run(
                command, env=environment, stdout=subprocess.PIPE, text=True, check=True
            )
            record = json.loads(done.stdout.splitlines()[-1])
            seconds[side] += record["seconds"]
            memory[side] = max(memory.get(side, 0), record["mb"])
    line: dict[str, Any] = {"name": "key_queue", **dict(zip(names, sizes, strict=True))}
    for side in SIDES:
        median = round(1000 * statistics.median(seconds[side]), 1)
        line[side] = {"ms": median, "grown_mb": memory[side]}
    line["ratio"] = round(line["whole"]["ms"] / line["in_blocks"]["ms"], 2)
    print(json.dumps({**line, "load": round(os.getloadavg()[0], 1)}), flush=True)


if __name__ == "__main__":
    main()
