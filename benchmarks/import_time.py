"""What `import burn_tf` adds to TensorFlow's own import: at most 1 s is the aim.

    python benchmarks/import_time.py

Fresh processes in turn, reference (`import tensorflow` with Keras 2 loaded) and ours; medians in
seconds. `ratio` is ours / reference, `added` the difference. Prints one JSON line.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys

ROUNDS = 5
REFERENCE = "import tensorflow as tf; tf.keras.Model"
OURS = "import burn_tf; import tensorflow as tf; tf.keras.Model"
TIMED = "import time; start = time.perf_counter(); {}; print(time.perf_counter() - start)"


def seconds(statement: str) -> float:
    """Wall time of a statement in a fresh process."""
    done = subprocess.run(
        [sys.executable, "-c", TIMED.format(statement)],
        env={**os.environ, "TF_USE_LEGACY_KERAS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stdout.split()[-1])


def main() -> None:
    seconds(OURS)  # reads the files once, so that no round pays for a cold disk
    pairs = [(seconds(REFERENCE), seconds(OURS)) for _ in range(ROUNDS)]
    reference, ours = (statistics.median(column) for column in zip(*pairs, strict=True))
    result = {
        "name": "import_time",
        "ours": round(ours, 3),
        "reference": round(reference, 3),
        "ratio": round(ours / reference, 3),
        "added": round(statistics.median(b - a for a, b in pairs), 3),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
