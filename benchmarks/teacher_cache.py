"""BURN's step with its teacher running, and with the teacher's features read from a cache.

    python benchmarks/teacher_cache.py [--sizes 224x16,32x128] [--views 4] [--rounds 2]

prints one JSON line. For each size (pixels x batch): images per second of whole steps, their views
included, with the teacher `live` and its features `cached`; the `ratio` of the two; the same ratio
in processor seconds, which other programs on the machine disturb less (`cpu_ratio`); images per
second while the cache is filled; bytes on the disk for one view of one image; and after how many
epochs, over both stages, a run that fills a cache of `--views` views is ahead of one without
(`ahead_after_epochs`). ReActNet-A learns from ResNet-50 in bfloat16; each side runs in processes of
its own, in turns, on the same two cores.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
CORES = 2
SIDES = ("live", "cached")
POLICIES = {False: "cifar", True: "burn_paper"}
# Timed steps of one process, by pixels: about 10 seconds of the slower side.
STEPS = {224: 4, 32: 10}
WARMUP = 2
FILLED_DRAWS = 2


def recipe_of(image_size: int, batch_size: int) -> Any:
    """BURN on views of this size."""
    from burn_tf.recipes import get_recipe, override

    policy = POLICIES[image_size > 64]
    sizes = [f"views.image_size={image_size}", f"batch_size={batch_size}"]
    return override(get_recipe("burn_paper"), [*sizes, f"views.policy={policy}"])


def worker(side: str, size: str, folder: str) -> None:
    """Prints the seconds of each step of one side, and what its cache took."""
    # isort: off
    import burn_tf  # first: it selects Keras 2
    import tensorflow as tf
    import numpy as np

    # isort: on
    from burn_tf.data import Source
    from burn_tf.training import TeacherCache
    from burn_tf.training.run import training_views
    from burn_tf.training.view_features import ViewFeatures

    tf.config.threading.set_intra_op_parallelism_threads(CORES)
    tf.keras.utils.set_random_seed(0)
    tf.keras.mixed_precision.set_global_policy("mixed_bfloat16")
    image_size, batch_size = map(int, size.split("x"))
    steps = WARMUP + STEPS.get(image_size, 4)
    shape = (image_size, image_size, 3)
    pixels = np.random.default_rng(0).integers(0, 256, (steps * batch_size, *shape), np.uint8)
    source, recipe = Source.from_array(pixels), recipe_of(image_size, batch_size)
    student = burn_tf.backbones.ReActNetA(shape, include_top=False, pooling="avg")
    teacher = burn_tf.backbones.ResNet50(shape, include_top=False, pooling="avg")
    views = training_views(recipe, source, epochs=1, draws=1)
    filled: dict[str, float] = {}
    if side == "cached":
        # Two draws, a file each: the first one's time is mostly the tracing of the teacher.
        view = ViewFeatures(Path(folder), teacher, recipe, source, 0, FILLED_DRAWS)
        ends = [time.perf_counter() for _ in view.fill()]
        features = TeacherCache(folder, FILLED_DRAWS).features(teacher, recipe, source, sys.stderr)
        filled = {
            "fill_seconds": ends[-1] - ends[0],
            "bytes": sum(path.stat().st_size for path in Path(folder).rglob("*.npy")),
            "images": source.num_images,
        }
        views = features.attach(views)
    else:
        views = views.map(lambda images, _: images)
    model = burn_tf.methods.BURN(
        student, teacher, given_features=side == "cached", total_steps=steps
    )
    model.compile(burn_tf.optimizers.FusedAdam(3e-4))
    train, batches = model.make_train_function(), iter(views)
    seconds, processor = [], []
    for _ in range(steps):
        begin, busy = time.perf_counter(), time.process_time()
        loss = float(train(batches)["loss"])
        seconds.append(time.perf_counter() - begin)
        processor.append(time.process_time() - busy)
        if not math.isfinite(loss):
            raise FloatingPointError(f"the loss became {loss}")
    print(json.dumps({"seconds": seconds[WARMUP:], "cpu": processor[WARMUP:], **filled}))


def measure(size: str, views: int, rounds: int) -> dict[str, Any]:
    """Both sides in turns."""
    batch = int(size.split("x")[1])
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent), "TF_CPP_MIN_LOG_LEVEL": "3"}
    found: dict[str, list[dict[str, Any]]] = {side: [] for side in SIDES}
    for _ in range(rounds):
        for side in SIDES:
            with tempfile.TemporaryDirectory() as folder:
                command = [sys.executable, str(Path(__file__).resolve()), "--worker", side]
                done = subprocess.run(
                    [*command, "--sizes", size, "--folder", folder],
                    env=environment,
                    stdout=subprocess.PIPE,
                    text=True,
                    check=True,
                )
            found[side].append(json.loads(done.stdout.splitlines()[-1]))

    def median(side: str, what: str) -> float:
        return statistics.median(value for one in found[side] for value in one[what])

    live, cached = (batch / median(side, "seconds") for side in SIDES)
    cache = found["cached"]
    fill = statistics.median(one["images"] / one["fill_seconds"] for one in cache)
    saved = 1 / live - 1 / cached
    return {
        "live": round(live, 2),
        "cached": round(cached, 2),
        "ratio": round(cached / live, 2),
        "cpu_ratio": round(median("live", "cpu") / median("cached", "cpu"), 2),
        "fill": round(fill, 2),
        "bytes_per_view": round(cache[0]["bytes"] / cache[0]["images"] / FILLED_DRAWS),
        "ahead_after_epochs": round(views / fill / saved, 1) if saved > 0 else None,
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Prints the JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default="224x16,32x128", help="pixels x batch, with commas")
    parser.add_argument("--views", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--worker", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    flags = parser.parse_args(argv)
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    if flags.worker:
        worker(flags.worker, flags.sizes, flags.folder)
        return
    sizes = {size: measure(size, flags.views, flags.rounds) for size in flags.sizes.split(",")}
    line = {"name": "teacher_cache", "views": flags.views, "sizes": sizes}
    print(json.dumps({**line, "load": round(os.getloadavg()[0], 1)}), flush=True)


if __name__ == "__main__":
    main()
