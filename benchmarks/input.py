"""Two views at 224 px from packed JPEG records, against Pillow on the same cores.

    python benchmarks/input.py [--policy moco_v2] [--cores 2] [--seconds 6] [--rounds 3]

prints one JSON line:

    packed               this library, from TFRecord shards of JPEG of 500 x 375, in a process that
                         does nothing else, as `burn-tf data serve` is: one thread per operation
    files                this library, from the same JPEG as single files
    packed_in_training   packed, in a process whose operations are split over the cores, as those
                         of a training are
    reference            Pillow with the same policy, a process per core, files; nothing is handed
                         to a trainer, which spares it the copying that a loader of processes does
    ratio, target        packed / reference, and what the project promises
    *_wall               the same by the clock on the wall
    load                 what else ran: mean number of busy processes in the last minute

Rates are images per second: of CPU time times the number of cores (on an idle machine that is
the time on the wall), the best of some rounds in which all take turns.
"""

from __future__ import annotations

import argparse
import functools
import json
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

# isort: off
from burn_tf.data import Source, load_source, pack_source, views_dataset

import pillow_reference  # type: ignore[import-not-found]  # a file beside this one

THREADS = "TF_NUM_INTRAOP_THREADS"  # read when TensorFlow makes its devices
os.environ.setdefault(THREADS, "1")

SIZE, VIEWS, BATCH = 224, 2, 16
TARGET = 1.5

Rates = tuple[float, float]


def ours(source: Source, policy: str, cores: int, seconds: float) -> Rates:
    """Images per second by CPU and by wall; two batches warm up."""
    dataset = views_dataset(
        source, policy, num_views=VIEWS, batch_size=BATCH, image_size=SIZE, epochs=10**6,
        workers=cores,
    )  # fmt: skip
    batches = iter(dataset)
    for _ in range(2):
        next(batches)
    cpu, wall, images = time.process_time(), time.perf_counter(), 0
    while time.process_time() - cpu < seconds * cores:
        images += int(next(batches)[0].shape[0])
    return (
        images / (time.process_time() - cpu) * cores,
        images / (time.perf_counter() - wall),
    )


def in_training(pool: ProcessPoolExecutor, packed: str, *options: Any) -> Rates:
    """The same in a process with a thread per core."""
    return pool.submit(_from_folder, packed, *options).result()


def _from_folder(packed: str, *options: Any) -> Rates:
    return ours(load_source(packed, split="all"), *options)


def _with_threads(cores: int) -> None:
    os.environ[THREADS] = str(cores)


def pillow(
    pool: ProcessPoolExecutor, folder: str, policy: str, cores: int, seconds: float
) -> Rates:
    """The same of a process per core."""
    work = functools.partial(pillow_reference.work, folder, policy, SIZE, VIEWS, seconds)
    done = list(pool.map(work, range(cores)))
    images = sum(row[0] for row in done)
    return images / sum(row[1] for row in done) * cores, images / max(row[2] for row in done)


def best(calls: dict[str, Callable[[], Rates]], rounds: int) -> dict[str, float]:
    """The best of some rounds in which all take turns."""
    found: dict[str, list[Rates]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            found[name].append(call())
    rates = {name: max(row[0] for row in rows) for name, rows in found.items()}
    walls = {f"{name}_wall": max(row[1] for row in rows) for name, rows in found.items()}
    return {name: round(value, 1) for name, value in (rates | walls).items()}


def measure(folder: str, policy: str, cores: int, seconds: float, rounds: int) -> dict[str, object]:
    """One JSON record."""
    pillow_reference.photographs(folder)
    files = load_source(folder, split="all")
    pack_source(folder, Path(folder) / "packed", shards=2)
    packed, each = f"packed:{folder}/packed", seconds / rounds
    sources = {"packed": load_source(packed, split="all"), "files": files}
    calls: dict[str, Callable[[], Rates]] = {
        name: functools.partial(ours, source, policy, cores, each)
        for name, source in sources.items()
    }
    start = functools.partial(ProcessPoolExecutor, mp_context=multiprocessing.get_context("spawn"))
    with (
        start(cores) as pool,
        start(1, initializer=_with_threads, initargs=(cores,)) as trainer,
    ):
        calls["packed_in_training"] = functools.partial(
            in_training, trainer, packed, policy, cores, each
        )
        calls["reference"] = functools.partial(pillow, pool, folder, policy, cores, each)
        rates = best(calls, rounds)
    record: dict[str, object] = {"name": f"input_{SIZE}px_{policy}", "unit": "images/s"}
    record |= rates | {"ratio": round(rates["packed"] / rates["reference"], 2), "target": TARGET}
    load = round(os.getloadavg()[0], 1)
    return record | {"cores": cores, "views": VIEWS, "batch": BATCH, "load": load}


def main() -> None:
    """Prints a line for 224 px."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--policy", default="moco_v2")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=6.0, help="CPU seconds per measurement")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[: args.cores]))
    with tempfile.TemporaryDirectory() as folder:
        record = measure(folder, args.policy, args.cores, args.seconds, args.rounds)
    print(json.dumps(record), flush=True)


if __name__ == "__main__":
    main()
