"""Exported files side by side: latency of each against its reference, time and memory of exports.

    python benchmarks/export.py [--size 224] [--width 1.0] [--runs 20]

A ReActNet-A with random shifts and batch norm statistics, 1000 classes, one thread. References:
the LCE file without folding, and what TensorFlow's own converter makes of the same model (with a
padding per convolution and two SIGN per sign). The files of a kind take turns. Prints one JSON line
per pair; `ratio` is ours / reference, times are medians in ms. Before these a line per export, each
in a fresh process: seconds from the model to the file, and the peak of its resident memory.

Of LCE there is also the time outside of the binary convolutions and, of that, of additions: how
much less a file takes without these operators (`burn_tf.export.lce_profiler`). Folding takes
additions away and nothing else: no fold could have a ratio below 1 - `additions_share` of the
unfolded file. On x86, at 64 px and width 0.25, that is 0.99: 93 % of the time are LCE's portable
binary convolutions, and additions take 1 % (2026-11-22, Xeon, one thread, other work beside it).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time

import burn_tf  # noqa: F401  selects Keras 2 before TensorFlow is imported

# isort: split
import numpy as np
import tensorflow as tf

from burn_tf.backbones import ReActNetA
from burn_tf.export import to_lce, to_litert
from burn_tf.export.latency import compare, time_calls
from burn_tf.export.lce_profiler import without
from burn_tf.export.preparation import frozen_model
from burn_tf.export.runtime import load_runtime

TARGETS = ("lce", "compact", "float32", "int8")


def random_model(size: int, width: float) -> tf.keras.Model:
    """Zeros would vanish in the files: all shifts and statistics are random."""
    model, rng = ReActNetA((size, size, 3), width=width), np.random.default_rng(0)
    for variable in model.variables:
        name, shape = variable.name, variable.shape
        if "kernel" not in name:
            spread = "variance" in name or "gamma" in name
            values = rng.uniform(0.5, 1.5, shape) if spread else rng.normal(0.0, 0.3, shape)
            variable.assign(values)
    return model


def exported(model: tf.keras.Model, target: str) -> bytes:
    """The bytes of one of our files."""
    if target == "lce":
        return to_lce(model).flatbuffer
    pictures = np.random.default_rng(1).integers(0, 256, (8, *model.input_shape[1:]))
    calibration = pictures.astype(np.uint8) if target == "int8" else None
    return to_litert(model, precision=target, calibration=calibration).flatbuffer


def converted_plainly(model: tf.keras.Model) -> bytes:
    """What TensorFlow's converter makes of the model's layers as they are."""
    frozen = frozen_model(model)
    signature = tf.TensorSpec([1, *model.input_shape[1:]], tf.float32)
    forward = tf.function(lambda images: frozen(images, training=False), [signature])
    concrete = forward.get_concrete_function()
    return bytes(tf.lite.TFLiteConverter.from_concrete_functions([concrete], frozen).convert())


def export_cost(target: str, size: int, width: float) -> None:
    """Prints seconds and peak memory of one export in this process."""
    import resource

    model = random_model(size, width)
    start = time.perf_counter()
    content = exported(model, target)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    result = {"seconds": round(seconds, 1), "peak_gb": round(peak / 1e9, 2), "bytes": len(content)}
    print(json.dumps({"name": f"export_time {target}", **result}), flush=True)


def lce_shares(name: str, files: dict[str, bytes], runs: int) -> None:
    """One line per file: what share of its time binary convolutions and additions take."""
    kinds: dict[str, tuple[str, ...]] = {
        "all": (),
        "no binary": ("LceBconv2d",),
        "neither": ("LceBconv2d", "ADD"),
    }
    calls = {
        f"{key}, {left_out}": load_runtime(without(data, names) if names else data).invoke
        for key, data in files.items()
        for left_out, names in kinds.items()
    }
    timed = time_calls(calls, runs=runs, warmup=3, threads=1)
    for key in files:
        whole, rest, neither = (timed[f"{key}, {kind}"].median_ms for kind in kinds)
        result = {
            "name": f"{name}: {key}",
            "ms": round(whole, 3),
            "outside_binary_ms": round(rest, 3),
            "outside_binary_share": round(rest / whole, 3),
            "additions_ms": round(rest - neither, 3),
            "additions_share": round((rest - neither) / whole, 3),
        }
        print(json.dumps(result), flush=True)


def report(name: str, files: dict[str, bytes], runs: int) -> None:
    """One line per file against the first one."""
    reports = compare(files, threads=[1], runs=runs)
    times = {key: entry.latencies[0].median_ms for key, entry in reports.items()}
    reference = next(iter(times))
    for key in list(times)[1:]:
        result = {
            "name": f"{name}: {key} / {reference}",
            "ours": round(times[key], 2),
            "reference": round(times[reference], 2),
            "ratio": round(times[key] / times[reference], 3),
            "bytes": len(files[key]),
            "reference_bytes": len(files[reference]),
        }
        print(json.dumps(result), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Latency of exported files, and cost of exports.")
    parser.add_argument("--size", type=int, default=224, help="pixels")
    parser.add_argument("--width", type=float, default=1.0, help="of the network")
    parser.add_argument("--runs", type=int, default=20, help="timed runs of each file")
    parser.add_argument("--cost_of", choices=TARGETS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.cost_of:
        export_cost(arguments.cost_of, arguments.size, arguments.width)
        return
    same = [f"--size={arguments.size}", f"--width={arguments.width}"]
    for target in TARGETS:
        subprocess.run([sys.executable, __file__, *same, f"--cost_of={target}"], check=True)
    model = random_model(arguments.size, arguments.width)
    name = f"reactnet_a {arguments.size} px, width {arguments.width:g}"
    lce = {"unfolded": to_lce(model, fold=False).flatbuffer, "folded": exported(model, "lce")}
    report(f"{name}, LCE", lce, arguments.runs)
    lce_shares(f"{name}, LCE by operators", lce, arguments.runs)
    stock = {"plain conversion": converted_plainly(model)}
    stock |= {target: exported(model, target) for target in TARGETS[1:]}
    report(f"{name}, LiteRT", stock, arguments.runs)


if __name__ == "__main__":
    main()
