"""Two workers of one core each against one process with both cores, at the same global batch.

    python benchmarks/two_workers.py [--rounds 2] [--recipe byol_cifar10] [--batch 128] [--steps 12]

prints one JSON line: name, ours (images per second of two workers together), reference (of one
process), ratio, and every round. A run is `burn-tf pretrain` on made-up images in a folder of its
own: input pipeline, synchronised batch norm, exchange of gradients over the loopback, logs and the
question after each update whether a worker was told to stop are all in the time. A run's figure is
its median step, by `time` in metrics.jsonl, without the first two. Both sides take turns on the
same two cores, which processes are bound to. A busy machine hurts two workers more, for a step
waits for the slower one: see `load`, and take no figure of a machine with a load above 2.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CORES = 2
REQUIRED = 0.85
# Their times hold the tracing of the graph and what is set up in the first run of it.
WARMUP = 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--recipe", default="byol_cifar10")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--steps", type=int, default=12)
    options = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))[:CORES]
    if len(cores) < CORES:
        raise SystemExit(f"needs {CORES} cores. Received: {len(cores)}")
    two, one = [], []
    for _ in range(options.rounds):
        two.append(images_per_second(options, [[core] for core in cores]))
        one.append(images_per_second(options, [cores]))
    ours, reference = statistics.median(two), statistics.median(one)
    result = {
        "name": "two_workers",
        "ours": round(ours, 1),
        "reference": round(reference, 1),
        "ratio": round(ours / reference, 3),
        "required": REQUIRED,
        "recipe": options.recipe,
        "batch_size": options.batch,
        "two_workers": [round(rate, 1) for rate in two],
        "one_process": [round(rate, 1) for rate in one],
        "load": os.getloadavg()[0],
    }
    print(json.dumps(result))


def images_per_second(options: argparse.Namespace, cores: list[list[int]]) -> float:
    """Of one run by as many workers as there are lists of cores to be bound to."""
    with tempfile.TemporaryDirectory() as folder:
        words = [sys.executable, "-m", "burn_tf", "pretrain", f"--recipe={options.recipe}"]
        # A fifth of the images are left for tests.
        words += [f"--data=synthetic:{options.batch * 5}", f"--workdir={folder}", "--ignore_memory"]
        words += [f"--set=batch_size={options.batch}", f"--set=max_steps={options.steps}"]
        words += ["--set=epochs=1000", "--set=stages=both", "--checkpoint_seconds=100000"]
        run_together(words, cores)
        lines = (Path(folder) / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    times = [json.loads(line)["time"] for line in lines][WARMUP:]
    steps = [later - earlier for earlier, later in itertools.pairwise(times)]
    return float(options.batch / statistics.median(steps))


def run_together(words: list[str], cores: list[list[int]]) -> None:
    """Start one process per list of cores, and wait for all."""
    addresses = free_addresses(len(cores))
    processes = []
    for index, own in enumerate(cores):
        task = {"type": "worker", "index": index}
        config = json.dumps({"cluster": {"worker": addresses}, "task": task})
        threads = {"TF_NUM_INTRAOP_THREADS": str(len(own)), "TF_CPP_MIN_LOG_LEVEL": "3"}
        environment = {**os.environ, **threads, "TF_CONFIG": config, "PYTHONPATH": str(ROOT)}
        process = subprocess.Popen(
            ["taskset", "--cpu-list", ",".join(map(str, own)), *words],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
    errors = [process.communicate()[1] for process in processes]
    if any(process.returncode for process in processes):
        raise SystemExit(f"a run failed: {errors}")


def free_addresses(count: int) -> list[str]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    addresses = [f"127.0.0.1:{one.getsockname()[1]}" for one in sockets]
    for one in sockets:
        one.close()
    return addresses


if __name__ == "__main__":
    main()
