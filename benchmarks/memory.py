"""Peak memory of training: predicted before the first step, and measured.

    python benchmarks/memory.py [--sizes 32x128,224x8] [--methods burn,msbreg,byol]
                                [--precision mixed_bfloat16] [--accumulate 1] [--steps 3]

prints one JSON line: name, ours (prediction) and reference (peak of resident memory, VmHWM) in GB
for the case whose prediction is worst, ratio (prediction by measurement), `worst_error` in percent,
and under `cases` the same for every method and size, with the parts of each prediction. Every case
is a process of its own: ReActNet-A with the method's heads (BURN with a frozen ResNet-50), random
images, a few updates by `fit`. The project promises 15 %.

The constants in burn_tf/training/memory.py come from this script, and from the same measurement of
BURN and MSBReg on CIFAR-10's recipes at batches of 8 to 256, where running a traced graph added
18 to 35 KB for each of its operations, and the rest grew by 1.0 to 1.4 bytes for each byte that the
player of the graph counts.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
CORES = 2
PROMISED_PERCENT = 15.0
METHODS = ("burn", "msbreg", "byol")
_HIDDEN, _EMBEDDING = 512, 128


def build(name: str, image_size: int, steps: int) -> Any:
    """A method on a new ReActNet-A, not compiled."""
    import burn_tf

    shape = (image_size, image_size, 3)
    strides = 1 if image_size < 96 else 2
    backbone = burn_tf.backbones.ReActNetA(
        shape, include_top=False, pooling="avg", stem_strides=strides
    )
    if name == "burn":
        teacher = burn_tf.backbones.ResNet50(shape, include_top=False, pooling="avg")
        return burn_tf.methods.BURN(backbone, teacher, total_steps=steps)
    kind = {"msbreg": burn_tf.methods.MSBReg, "byol": burn_tf.methods.BYOL}[name]
    return kind(backbone, hidden_dim=_HIDDEN, embedding_dim=_EMBEDDING, total_steps=steps)


def worker(flags: argparse.Namespace) -> dict[str, float]:
    """Predict and measure one case in this process; figures in GB."""
    import burn_tf

    # isort: split
    import tensorflow as tf

    from burn_tf.training.memory import predict_memory
    from burn_tf.watching.machine_memory import peak_resident_bytes

    tf.config.threading.set_intra_op_parallelism_threads(CORES)
    tf.config.threading.set_inter_op_parallelism_threads(CORES)
    tf.keras.mixed_precision.set_global_policy(flags.precision)
    name, image_size, batch = flags.worker.split(",")
    method = build(name, int(image_size), flags.steps)
    method.compile(burn_tf.optimizers.FusedAdam(1e-3), accumulate=flags.accumulate)
    views = _views(int(image_size), int(batch), 1 if name == "burn" else 2, flags.steps)
    predicted = predict_memory(method, views)
    if predicted is None:
        raise SystemExit("this benchmark needs Linux, and a machine without GPU")
    method.fit(views, verbose=0)
    parts = {name: getattr(predicted, name) for name in ("resident", "graph", "tensors")}
    figures = {"predicted": predicted.peak, "measured": peak_resident_bytes() or 0, **parts}
    return {key: round(value / 1e9, 3) for key, value in figures.items()}


def _views(image_size: int, batch: int, count: int, steps: int) -> Any:
    import tensorflow as tf

    def made(step: tf.Tensor) -> tuple[tf.Tensor, ...]:
        shape = [batch, image_size, image_size, 3]
        return tuple(tf.random.stateless_normal(shape, [step, k]) for k in range(count))

    return tf.data.Dataset.range(steps).map(made).prefetch(tf.data.AUTOTUNE)


def measure(case: str, flags: argparse.Namespace) -> dict[str, float]:
    """One case in a process of its own."""
    command = [sys.executable, str(Path(__file__).resolve()), "--worker", case]
    command += ["--precision", flags.precision, "--steps", str(flags.steps)]
    command += ["--accumulate", str(flags.accumulate)]
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent), "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    figures["ratio"] = round(figures["predicted"] / figures["measured"], 3)
    print(f"{case}: {figures}", file=sys.stderr)
    return figures


def main(argv: Sequence[str] | None = None) -> None:
    """Prints the JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default="32x128,224x8", help="PIXELSxBATCH, ..")
    parser.add_argument("--methods", default=",".join(METHODS), help="of burn, msbreg, byol")
    parser.add_argument("--precision", default="mixed_bfloat16", help="Keras policy")
    parser.add_argument("--accumulate", type=int, default=1, help="micro-batches of a batch")
    parser.add_argument("--steps", type=int, default=3, help="updates of a case")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    flags = parser.parse_args(argv)
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    if flags.worker:
        print(json.dumps(worker(flags)))
        return
    cases = {
        f"{name} {size}": measure(f"{name},{size.replace('x', ',')}", flags)
        for size in flags.sizes.split(",")
        for name in flags.methods.split(",")
    }
    worst = max(cases.values(), key=lambda figures: abs(figures["ratio"] - 1))
    error = round(100 * abs(worst["ratio"] - 1), 1)
    line = {"name": "memory", "ours": worst["predicted"], "reference": worst["measured"]}
    line |= {"ratio": worst["ratio"], "unit": "GB", "worst_error": error}
    line |= {"promised": PROMISED_PERCENT, "precision": flags.precision, "cases": cases}
    print(json.dumps({**line, "load": round(os.getloadavg()[0], 1)}), flush=True)


if __name__ == "__main__":
    main()
