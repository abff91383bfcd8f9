"""What a method's step costs above its networks' forward and backward passes, on two cores.

    python benchmarks/methods.py [--methods BURN,MSBReg] [--size 96x32] [--width 0.5] [--rounds 5]

prints one JSON line: per method the seconds of a whole step (losses, gradients, optimizer, averaged
networks, queue, every figure that `fit` logs), the seconds of its networks' passes alone, and their
ratio, which the project holds to 1.10. Passes: every network forward on the views that the method
shows it, and backward from given gradients where it learns; no loss, no update. Both run in turns
in one process per method; a figure is the median. ReActNet-A, binary throughout, mixed bfloat16;
heads of the papers' sizes but for the queue (4,096 keys) and Barlow Twins' and VICReg's projectors
(2,048).

Under `memory`: peak memory of MSBReg's step with K = 8 views, with and without its target network,
each in a process of its own. Their difference has to stay below what one view's target pass keeps,
several times eight: targets hold no activations.
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
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
CORES = 2
METHODS = (
    "BURN", "MSBReg", "BYOL", "MoCoV2", "InfoMin", "S2BNN", "SwAV", "SimCLRV2", "SimSiam",
    "BarlowTwins", "VICReg", "WMSE", "Supervised",
)  # fmt: skip
WARMUP = 2


def build(name: str, size: int, width: float) -> tuple[Any, int]:
    """The compiled method, and how many views it learns from."""
    # isort: off
    import burn_tf  # first: it selects Keras 2
    import tensorflow as tf

    # isort: on
    from burn_tf import layers, methods

    tf.keras.mixed_precision.set_global_policy("mixed_bfloat16")
    tf.keras.utils.set_random_seed(0)
    side = None if name == "InfoMin" else size
    backbone = burn_tf.backbones.ReActNetA(
        (side, side, 3), include_top=False, pooling="avg", width=width
    )
    networks: list[Any] = [backbone]
    if name in ("BURN", "S2BNN"):
        networks.append(burn_tf.backbones.ResNet50((size, size, 3), False, pooling="avg"))
    if name == "S2BNN":
        networks.append(layers.mlp_head(networks[1].output_shape[-1], [2048], 128, norm="none"))
    options: dict[str, dict[str, Any]] = {
        "MoCoV2": {"queue_size": 4096},
        "InfoMin": {"queue_size": 4096},
        "BarlowTwins": {"hidden_dim": 2048, "embedding_dim": 2048},
        "VICReg": {"hidden_dim": 2048, "embedding_dim": 2048},
        "WMSE": {"embedding_dim": 16},
        "Supervised": {"num_classes": 1000},
    }
    method = getattr(methods, name)(*networks, total_steps=1000, **options.get(name, {}))
    method.compile(burn_tf.optimizers.FusedAdam(1e-4))
    return method, {"BURN": 1, "S2BNN": 1, "Supervised": 1, "InfoMin": 3}.get(name, 2)


def learned_passes(name: str, method: Any, views: Sequence[Any]) -> list[Any]:
    """Outputs of the networks that learn, on the views that they see in a step."""
    seen = views[:1] if name in ("MoCoV2", "InfoMin") else views
    features = [method.backbone(view, training=True) for view in seen]
    if name in ("BURN", "Supervised"):
        return [method.classifier(feature, training=True) for feature in features]
    embeddings = [method.projector(feature, training=True) for feature in features]
    if name in ("MSBReg", "BYOL", "SimSiam"):
        embeddings += [method.predictor(embedding, training=True) for embedding in embeddings]
    if name == "SwAV":
        embeddings = [method.prototypes(embedding) for embedding in embeddings]
    if name == "InfoMin":
        embeddings.append(method._puzzle(views[2], 0))
    return embeddings


def other_passes(name: str, method: Any, views: Sequence[Any]) -> list[Any]:
    """Outputs of frozen and averaged networks."""
    if name in ("BURN", "S2BNN"):
        features = method.frozen_teacher.outputs(views)
        if name == "S2BNN":
            return [method.teacher_head(feature, training=False) for feature in features]
        return features
    if name in ("MSBReg", "BYOL"):
        return [method.target_embedding(view) for view in views]
    return [method.target_embedding(views[1])] if name in ("MoCoV2", "InfoMin") else []


def passes(name: str, method: Any) -> Callable[[Sequence[Any]], Any]:
    """A graph function that runs all networks forward and the learning ones backward."""
    import tensorflow as tf

    @tf.function
    def run(views: Sequence[Any]) -> Any:
        others = other_passes(name, method, views)
        with tf.GradientTape() as tape:
            outputs = learned_passes(name, method, views)
            if name == "BURN":
                outputs += [method.teacher_classifier(other, training=True) for other in others]
        upstream = [tf.ones_like(output) for output in outputs]
        gradients = tape.gradient(outputs, method.trainable_variables, output_gradients=upstream)
        kept = [tf.reduce_max(g) for g in gradients if g is not None]
        return tf.add_n([tf.cast(k, tf.float32) for k in kept]) + tf.add_n(
            [tf.reduce_max(tf.cast(other, tf.float32)) for other in others] or [tf.constant(0.0)]
        )

    return run


def made_up(size: int, batch: int, views: int, labels: bool) -> tuple[Any, ...]:
    """Views, and labels where they are learnt from."""
    import tensorflow as tf

    images = tuple(tf.random.normal([batch, size, size, 3]) for _ in range(views))
    return (*images, tf.zeros([batch], tf.int64)) if labels else images


def worker(name: str, size: int, batch: int, width: float, rounds: int) -> None:
    """Prints seconds of steps and of passes, in turns."""
    _limit_threads()
    import tensorflow as tf

    method, count = build(name, size, width)
    data = made_up(size, batch, count, name == "Supervised")
    batches = iter(tf.data.Dataset.from_tensors(data).repeat())
    train, alone = method.make_train_function(), passes(name, method)
    sides: dict[str, Callable[[], Any]] = {
        "step": lambda: float(train(batches)["loss"]),
        "passes": lambda: float(alone(data[:count])),
    }
    seconds: dict[str, list[float]] = {side: [] for side in sides}
    for turn in range(WARMUP + rounds):
        for side, call in sides.items():
            begin = time.perf_counter()
            call()
            if turn >= WARMUP:
                seconds[side].append(time.perf_counter() - begin)
    median = {side: statistics.median(values) for side, values in seconds.items()}
    record = {f"{side}_s": round(value, 4) for side, value in median.items()}
    print(json.dumps({**record, "ratio": round(median["step"] / median["passes"], 3)}))


def memory_worker(size: int, batch: int, width: float, target: bool) -> None:
    """Prints the peak memory of three steps of MSBReg with eight views, in MB."""
    _limit_threads()
    import tensorflow as tf

    import burn_tf
    from burn_tf import methods

    tf.keras.mixed_precision.set_global_policy("mixed_bfloat16")
    shape = (size, size, 3)
    backbone = burn_tf.backbones.ReActNetA(shape, include_top=False, pooling="avg", width=width)
    method = methods.MSBReg(backbone, total_steps=10)
    if not target:
        nothing = tf.zeros([8, batch, 128])
        setattr(method, "target_embeddings", lambda views: nothing)  # noqa: B010
    method.compile(burn_tf.optimizers.FusedAdam(1e-4))
    train = method.make_train_function()
    batches = iter(tf.data.Dataset.from_tensors(made_up(size, batch, 8, False)).repeat())
    for _ in range(3):
        train(batches)
    print(json.dumps({"peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}))


def _limit_threads() -> None:
    # isort: off
    import burn_tf  # noqa: F401  first: it selects Keras 2
    import tensorflow as tf

    # isort: on
    tf.config.threading.set_intra_op_parallelism_threads(CORES)
    tf.config.threading.set_inter_op_parallelism_threads(CORES)


def run(*words: str) -> dict[str, Any]:
    """The JSON line of a worker process."""
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent), "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, str(Path(__file__).resolve()), *words]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    record: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return record


def main(argv: Sequence[str] | None = None) -> None:
    """Prints the JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--size", default="96x32", help="PIXELSxBATCH")
    parser.add_argument("--width", type=float, default=0.5, help="of ReActNet-A")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--memory_worker", help=argparse.SUPPRESS)
    flags = parser.parse_args(argv)
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    size, batch = map(int, flags.size.split("x"))
    if flags.worker:
        worker(flags.worker, size, batch, flags.width, flags.rounds)
        return
    if flags.memory_worker:
        memory_worker(size, batch, flags.width, flags.memory_worker == "with")
        return
    common = ["--size", flags.size, "--width", str(flags.width), "--rounds", str(flags.rounds)]
    table = {}
    for name in flags.methods.split(","):
        table[name] = run("--worker", name, *common)
        print(f"{name}: {table[name]}", file=sys.stderr, flush=True)
    memory = {
        side: run("--memory_worker", side, *common)["peak_mb"] for side in ("with", "without")
    }
    line = {"name": "methods", "size": flags.size, "width": flags.width, "methods": table}
    line |= {"worst_ratio": max(row["ratio"] for row in table.values())}
    line |= {"memory": {f"k8_{side}_target_mb": value for side, value in memory.items()}}
    print(json.dumps({**line, "load": round(os.getloadavg()[0], 1)}), flush=True)


if __name__ == "__main__":
    main()
