"""What share of BURN's training step its convolutions alone would take, on two cores.

    python benchmarks/convolution_share.py [--sizes 224x16,32x128] [--rounds 3] [--steps 4]

prints one JSON line. For each size (pixels x batch): seconds of a whole step (`step_s`), of all its
convolutions alone (`convolutions_s`: the student's output and both gradients, the frozen teacher's
output, each geometry by itself on arrays in memory, as often as the step has it), the rate of both
in GFLOP/s of these convolutions, and the `share` of the convolution rate that the step reaches,
which the project wants at 0.60. ReActNet-A and ResNet-50, mixed bfloat16; step and convolutions
take turns in one process, and a figure is the median.
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).resolve().parent
CORES = 2
WARMUP = 2
GOAL = 0.60


class Geometry(NamedTuple):
    """One convolution; `learns` has both gradients, `first` none by its images."""

    images: tuple[int, ...]
    kernel: tuple[int, ...]
    strides: tuple[int, int]
    padding: str
    learns: bool
    first: bool

    def flops(self) -> float:
        """Of one call, a product and a sum counted as two."""
        rows, columns = -(-self.images[1] // self.strides[0]), -(-self.images[2] // self.strides[1])
        if self.padding == "valid":
            rows = (self.images[1] - self.kernel[0]) // self.strides[0] + 1
            columns = (self.images[2] - self.kernel[1]) // self.strides[1] + 1
        passes = (2 if self.first else 3) if self.learns else 1
        size = self.kernel[0] * self.kernel[1] * self.kernel[2] * self.kernel[3]
        return 2.0 * self.images[0] * rows * columns * size * passes


def geometries(network: Any, batch: int, learns: bool) -> collections.Counter[Geometry]:
    """The convolutions of a network, and how often it has each."""
    found: collections.Counter[Geometry] = collections.Counter()
    for layer in network.layers:
        kernel = getattr(layer, "kernel", None)
        if kernel is not None and len(kernel.shape) == 4:
            images = (batch, *layer.input_shape[1:])
            first = images[3] == 3
            kind = (tuple(kernel.shape), tuple(layer.strides), str(layer.padding), learns, first)
            found[Geometry(images, *kind)] += 1
    return found


def call(geometry: Geometry) -> Callable[[], None]:
    """Runs this convolution once, as the step does."""
    import tensorflow as tf

    from burn_tf.layers.convolution import conv2d_same

    images = tf.cast(tf.random.normal(geometry.images), tf.bfloat16)
    kernel = tf.cast(tf.random.normal(geometry.kernel), tf.bfloat16)

    @tf.function
    def run(images: tf.Tensor, kernel: tf.Tensor) -> Any:
        if not geometry.learns:
            padding = geometry.padding.upper()
            return tf.nn.conv2d(images, kernel, geometry.strides, padding)
        with tf.GradientTape() as tape:
            sources = [kernel] if geometry.first else [kernel, images]
            tape.watch(sources)
            output = conv2d_same(images, kernel, geometry.strides, 1.0)
        return tape.gradient(output, sources, output_gradients=tf.ones_like(output))

    def wait() -> None:
        results = run(images, kernel)
        for result in results if isinstance(results, list) else [results]:
            result.numpy()[..., 0].max()

    return wait


def seconds(work: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def worker(size: str, rounds: int, steps: int) -> None:
    """Prints the record of one size."""
    # isort: off
    import burn_tf  # noqa: F401  first: it selects Keras 2
    import tensorflow as tf

    # isort: on
    import train_step  # type: ignore[import-not-found]  # a file beside this one

    tf.config.threading.set_intra_op_parallelism_threads(CORES)
    tf.config.threading.set_inter_op_parallelism_threads(CORES)
    image_size, batch = map(int, size.split("x"))
    model = train_step.build(image_size, "mixed_bfloat16", 1000)
    images = tf.random.normal([batch, image_size, image_size, 3])
    batches = iter(tf.data.Dataset.from_tensors((images,)).repeat())
    train = model.make_train_function()
    counts = geometries(model.backbone, batch, learns=True)
    counts += geometries(model.teacher, batch, learns=False)
    calls = {geometry: call(geometry) for geometry in counts}
    whole: list[float] = []
    alone: dict[Geometry, list[float]] = {geometry: [] for geometry in counts}
    for turn in range(WARMUP + rounds):
        taken = [seconds(lambda: float(train(batches)["loss"])) for _ in range(steps)]
        each = {geometry: [seconds(work) for _ in range(steps)] for geometry, work in calls.items()}
        if turn >= WARMUP:
            whole += taken
            for geometry in counts:
                alone[geometry] += each[geometry]
    step = statistics.median(whole)
    convolutions = sum(n * statistics.median(alone[geometry]) for geometry, n in counts.items())
    flops = sum(n * geometry.flops() for geometry, n in counts.items())
    record = {
        "step_s": round(step, 3),
        "convolutions_s": round(convolutions, 3),
        "step_gflops": round(flops / step / 1e9),
        "convolution_gflops": round(flops / convolutions / 1e9),
        "share": round(convolutions / step, 3),
    }
    print(json.dumps(record))


def main(argv: Sequence[str] | None = None) -> None:
    """Prints the JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default="224x16,32x128", help="PIXELSxBATCH, ..")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=4, help="of each side in a round")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    flags = parser.parse_args(argv)
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    if flags.worker:
        worker(flags.worker, flags.rounds, flags.steps)
        return
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent), "TF_CPP_MIN_LOG_LEVEL": "3"}
    records = {}
    for size in flags.sizes.split(","):
        words = [sys.executable, str(Path(__file__).resolve()), "--worker", size]
        words += ["--rounds", str(flags.rounds), "--steps", str(flags.steps)]
        done = subprocess.run(words, env=environment, stdout=subprocess.PIPE, text=True, check=True)
        records[size] = json.loads(done.stdout.splitlines()[-1])
    first = records[flags.sizes.split(",")[0]]
    line = {"name": "convolution_share", "ours": first["share"], "goal": GOAL, "cores": CORES}
    print(json.dumps({**line, "sizes": records, "load": round(os.getloadavg()[0], 1)}))


if __name__ == "__main__":
    main()
