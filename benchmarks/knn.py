"""Nearest neighbours in 200,000 x 1,024 features: burn_tf against scikit-learn's brute force.

    python benchmarks/knn.py [--rows 200000] [--dim 1024] [--queries 2000] [--k 20] [--rounds 2]
                             [--threads 1]

prints one JSON line: name, ours, reference and ratio (queries per second of processor time), and
under `memory` the peak of resident memory in MB of each process, its libraries and the bank's pages
included. The reference is the faster one of scikit-learn's cosine and Euclidean (on unit vectors)
brute force, both on float32 in memory; ours reads the float16 file that a feature bank is, which is
part of its time. `differing` is the share of neighbours that are not the cosine reference's: it
ranks by rounded float32 products, ours by exact ones. Each side runs in processes of its own, in
turns, with the same number of threads.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

SIDES = ("ours", "cosine", "euclidean")
_ROWS = 4096


def make(path: Path, rows: int, dim: int, seed: int) -> None:
    """A file of float16 features around a thousand centres, as classes give them."""
    centres = np.random.default_rng(0).standard_normal([1000, dim], np.float32)
    generator = np.random.default_rng(seed)
    file = np.lib.format.open_memmap(path, "w+", np.float16, (rows, dim))
    for start in range(0, rows, _ROWS):
        count = min(_ROWS, rows - start)
        noise = generator.standard_normal([count, dim], np.float32)
        file[start : start + count] = 2.0 * noise + centres[generator.integers(0, 1000, count)]
    file.flush()


def ours(folder: Path, k: int) -> Callable[[], np.ndarray]:
    """The probe's neighbours of mapped features."""
    from burn_tf.evaluation import KNNProbe

    bank, queries = (np.load(folder / name, mmap_mode="r") for name in ("bank.npy", "queries.npy"))
    return lambda: KNNProbe(k).neighbours(bank, queries)[0]


def reference(folder: Path, k: int, metric: str) -> Callable[[], np.ndarray]:
    """scikit-learn's neighbours; the fit is not timed."""
    from sklearn.neighbors import NearestNeighbors

    bank, queries = (np.load(folder / f"{name}.npy").astype("f4") for name in ("bank", "queries"))
    if metric == "euclidean":
        for rows in (bank, queries):
            rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    search = NearestNeighbors(n_neighbors=k, algorithm="brute", metric=metric).fit(bank)
    return lambda: search.kneighbors(queries, return_distance=False)


def work(side: str, folder: Path, k: int) -> None:
    """Time one side in this process; its neighbours go to a file."""
    call = ours(folder, k) if side == "ours" else reference(folder, k, side)
    # Of all threads: on a machine with other work, wall time measures that work.
    begin = time.process_time()
    found = call()
    seconds = time.process_time() - begin
    np.save(folder / f"{side}_found.npy", found)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"queries_per_second": len(found) / seconds, "peak_mb": round(peak)}))


def run(side: str, folder: Path, flags: argparse.Namespace) -> dict[str, Any]:
    """One round of a side in a process of its own."""
    command = [sys.executable, __file__, "--worker", side, "--folder", str(folder)]
    names = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
    done = subprocess.run(
        [*command, "--k", str(flags.k)],
        env={**os.environ, **dict.fromkeys(names, str(flags.threads))},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))


def measure(flags: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """The JSON record."""
    make(folder / "bank.npy", flags.rows, flags.dim, seed=1)
    make(folder / "queries.npy", flags.queries, flags.dim, seed=2)
    rounds = [{side: run(side, folder, flags) for side in SIDES} for _ in range(flags.rounds)]
    best = {side: max(r[side]["queries_per_second"] for r in rounds) for side in SIDES}
    found = {side: np.load(folder / f"{side}_found.npy") for side in SIDES}
    rate = max(best["cosine"], best["euclidean"])
    return {
        "name": f"knn_{flags.rows}x{flags.dim}",
        "unit": "queries/s/core",
        "ours": round(best["ours"], 1),
        "reference": round(rate, 1),
        "ratio": round(best["ours"] / rate, 2),
        "sides": {side: round(value, 1) for side, value in best.items()},
        "memory": {side: max(r[side]["peak_mb"] for r in rounds) for side in SIDES},
        "differing": float(np.mean(found["ours"] != found["cosine"])),
        "queries": flags.queries,
        "k": flags.k,
        "threads": flags.threads,
        "load": round(os.getloadavg()[0], 1),
    }


def main() -> None:
    """Prints the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("rows", 200_000), ("dim", 1024), ("queries", 2000), ("k", 20)):
        parser.add_argument(f"--{name}", type=int, default=default)
    for name, default in (("rounds", 2), ("threads", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--worker", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    flags = parser.parse_args()
    if flags.worker:
        work(flags.worker, flags.folder, flags.k)
        return
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measure(flags, Path(folder))), flush=True)


if __name__ == "__main__":
    main()
