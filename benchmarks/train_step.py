"""One BURN training step on two cores: burn_tf against plain PyTorch modules.

    python benchmarks/train_step.py [--rounds 2] [--sizes 224x16,32x128]
                                    [--reference_python /path/of/a/python/that/has/torch]

prints one JSON line: name, ours, reference, ratio (images per second at the first size), and
under `sizes` the same for every size with the ratio that the project promises. The step:
ReActNet-A (all binary, stem stride 2) and its head, a frozen ResNet-50 and its head, KL and
cosine terms, a linear projection, Adam, one view, random images in memory. Ours runs through the
function that `fit` calls, with every figure that `fit` logs.

Ours is mixed bfloat16 with FusedAdam. The reference (`torch_reference.py`) is eager float32;
what CPU autocast to bfloat16 and Adam's fused kernel make of it is in `reference_bfloat16` and
`reference_fused_adam`. Processes of both sides take turns on the same two cores; a figure is the
median over all timed steps. A busy machine hurts both sides, but not alike: see `load`.

Where the waste was, in mixed bfloat16 on two cores with AMX, and what became of it. The same step
in plain TensorFlow operations ran at 8.6 img/s (224 px) and 112 img/s (32 px). Single operations
were timed with other work on the machine, as the best of many calls: take their ratios.

1. Kernel gradients took 0.84 s of processor time at either size: oneDNN's is slow where maps are
   small and kernels large (7x7x1024: 211 ms, as nine matrix products 25 ms). On 2x2 and 1x1 maps
   output and input gradient were too (91 and 90 ms, now 6 and 4). See layers/convolution.py.
2. RSign and RPReLU as chains of operations were five to eight passes over memory each (RPReLU
   43 ms per 12.8 M elements); compiled to one loop 4 ms. Only these chains use XLA: its sums, and
   its convolutions on a CPU, are far slower than TensorFlow's own. Inside the loop bfloat16 is
   float32: XLA rounds every result otherwise, and takes twice the time. See layers/fusion.py.
3. The frozen teacher's batch norms, folded into its convolutions as it runs, bring ResNet-50 from
   0.68 to 0.25 s of processor time. See methods/teacher.py.
4. Adam's separate passes over 45 M parameters: one fused kernel. See optimizers/fused_adam.py.
5. Counting changed signs by way of int64 cost 31 ms per 9.4 M weights; a third as float32.

Left at 224 px (2.2 s of processor time): AMX products a third, compiled loops a tenth, sums of
shortcuts and gradients a tenth, batch norm 8 %. At 32 px it is passes over 28 M binary weights and
45 M trained ones. The first step takes 20 s: tracing the graph, of it 3 % XLA's compiler.

Is the result right? In float32 these paths change no gradient by more than 1e-5 (32 px digits).
In bfloat16 the gradient of one batch points elsewhere (cosine 0.07 to 0.13 with float32's), as it
does in float32 when the images change by 2^-9 (0.15): signs flip. The losses agree (1.9145 and
1.9132), and so does training: 0.46 in float32 and 0.37 in bfloat16 after 24 steps from one seed.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
CORES = 2
REQUIRED = {"224x16": 2.4, "32x128": 1.3}
# Timed steps of one process, by size: about 10 seconds of the slower side.
STEPS = {"224x16": 4, "32x128": 10}
WARMUP = 2


def build(image_size: int, precision: str, total_steps: int) -> Any:
    """The compiled BURN model of the benchmark."""
    import tensorflow as tf

    import burn_tf

    tf.keras.mixed_precision.set_global_policy(precision)
    shape = (image_size, image_size, 3)
    student = burn_tf.backbones.ReActNetA(shape, include_top=False, pooling="avg")
    teacher = burn_tf.backbones.ResNet50(shape, include_top=False, pooling="avg")
    model = burn_tf.methods.BURN(student, teacher, total_steps=total_steps)
    model.compile(burn_tf.optimizers.FusedAdam(3e-4))
    return model


def time_steps(image_size: int, batch_size: int, steps: int, precision: str) -> list[float]:
    """Seconds of each timed step; every step waits for its loss value, as a training log does."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(CORES)
    tf.config.threading.set_inter_op_parallelism_threads(CORES)
    tf.keras.utils.set_random_seed(0)
    model = build(image_size, precision, WARMUP + steps)
    images = tf.random.normal([batch_size, image_size, image_size, 3])
    batches = iter(tf.data.Dataset.from_tensors((images,)).repeat())
    train = model.make_train_function()
    seconds = []
    for step in range(WARMUP + steps):
        begin = time.perf_counter()
        loss = float(train(batches)["loss"])
        seconds.append(time.perf_counter() - begin)
        if not abs(loss) < float("inf"):
            raise FloatingPointError(f"the loss became {loss} at step {step}")
    return seconds[WARMUP:]


def worker(size: str, steps: int, precision: str) -> None:
    """Time our side in this process and print its images per second."""
    import burn_tf  # noqa: F401  selects Keras 2 before TensorFlow is imported

    image_size, batch_size = map(int, size.split("x"))
    seconds = time_steps(image_size, batch_size, steps, precision)
    print(json.dumps({"images_per_second": [batch_size / s for s in seconds]}))


def run(command: Sequence[str]) -> list[float]:
    """Images per second of every step that a subprocess timed."""
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent), "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return list(json.loads(done.stdout.splitlines()[-1])["images_per_second"])


def commands(size: str, steps: int, precision: str, reference_python: str) -> dict[str, list[str]]:
    """The command line of every side."""
    image_size, batch_size = size.split("x")
    own = [sys.executable, str(Path(__file__).resolve())]
    own += ["--worker", size, "--steps", str(steps), "--precision", precision]
    torch = [reference_python, str(HERE / "torch_reference.py"), "--threads", str(CORES)]
    torch += ["--image_size", image_size, "--batch_size", batch_size]
    torch += ["--steps", str(steps), "--warmup", str(WARMUP)]
    return {
        "ours": own,
        "reference": torch,
        "reference_bfloat16": [*torch, "--bfloat16"],
        "reference_fused_adam": [*torch, "--fused"],
    }


def measure(
    size: str, rounds: int, steps: int | None, precision: str, python: str
) -> dict[str, Any]:
    """Both sides in turns, the reference's variants in the first round."""
    sides = commands(size, steps or STEPS.get(size, 4), precision, python)
    rates: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(rounds):
        for name in sides if turn == 0 else ("ours", "reference"):
            rates[name] += run(sides[name])
            print(f"{size} round {turn + 1} {name}: {rates[name][-1]:.1f} img/s", file=sys.stderr)
    record: dict[str, Any] = {
        name: round(statistics.median(values), 2) for name, values in rates.items()
    }
    record["ratio"] = round(record["ours"] / record["reference"], 2)
    return {**record, "required_ratio": REQUIRED.get(size)}


def main(argv: Sequence[str] | None = None) -> None:
    """Prints the JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default=",".join(REQUIRED), help="PIXELSxBATCH, ..")
    parser.add_argument("--rounds", type=int, default=2, help="turns of each side")
    parser.add_argument("--steps", type=int, help="timed steps of one process")
    parser.add_argument("--precision", default="mixed_bfloat16", help="Keras policy of our side")
    parser.add_argument("--reference_python", default=sys.executable, help="Python that has torch")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    flags = parser.parse_args(argv)
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    if flags.worker:
        worker(flags.worker, flags.steps, flags.precision)
        return
    sizes = {
        size: measure(size, flags.rounds, flags.steps, flags.precision, flags.reference_python)
        for size in flags.sizes.split(",")
    }
    first = next(iter(sizes.values()))
    line = {"name": "train_step", **{key: first[key] for key in ("ours", "reference", "ratio")}}
    line |= {"unit": "images/s", "precision": flags.precision, "cores": CORES, "sizes": sizes}
    print(json.dumps({**line, "load": round(os.getloadavg()[0], 1)}), flush=True)


if __name__ == "__main__":
    main()
