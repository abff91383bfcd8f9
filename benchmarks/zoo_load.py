"""Time of `zoo.load`, offline, after TensorFlow is imported: at most 3 s is the aim.

    python benchmarks/zoo_load.py

Fresh processes in turn, reference (the same network with random weights) and ours; medians in
seconds over all models of the zoo. `ratio` is ours / reference. Prints one JSON line.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys

ROUNDS = 3
PROGRAM = """
import time
import burn_tf, tensorflow as tf
tf.keras.Model
start = time.perf_counter()
from burn_tf import zoo
zoo.load({name!r}, weights={weights!r})
print(time.perf_counter() - start)
"""


def output(program: str) -> str:
    """The last word that a fresh process prints."""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "BURN_TF_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()[-1]


def seconds(name: str, weights: str | None) -> float:
    """Wall time of one `load`."""
    return float(output(PROGRAM.format(name=name, weights=weights)))


def main() -> None:
    names = output("from burn_tf import zoo; print(','.join(zoo.list_models()))").split(",")
    seconds(names[0], "default")  # reads the files once, so that no round pays for a cold disk
    pairs = [
        (seconds(name, None), seconds(name, "default")) for _ in range(ROUNDS) for name in names
    ]
    reference, ours = (statistics.median(column) for column in zip(*pairs, strict=True))
    result = {
        "name": "zoo_load",
        "ours": round(ours, 3),
        "reference": round(reference, 3),
        "ratio": round(ours / reference, 3),
        "slowest": round(max(b for _, b in pairs), 3),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
