"""Measure a file on this machine, or a model as every kind of file beside Keras."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

from absl import flags as absl_flags

from burn_tf._checks import UserError
from burn_tf.cli import models
from burn_tf.cli.flag_values import check_unused
from burn_tf.cli.pictures import load_pixels
from burn_tf.cli.quiet import quiet_stderr
from burn_tf.cli.targets import check_file_target

if TYPE_CHECKING:
    from burn_tf.export.comparison import TargetRow


def register(flags: absl_flags.FlagValues) -> None:
    """The flags of `burn-tf benchmark`."""
    absl_flags.DEFINE_string("file", None, "a .tflite file to measure", flag_values=flags)
    absl_flags.DEFINE_string(
        "all",
        None,
        f"instead of a file, a model to measure as every kind of file: {models.MODEL_HELP}",
        flag_values=flags,
    )
    absl_flags.DEFINE_list(
        "threads", ["1"], "numbers of threads, such as 1,2; with --all, one", flag_values=flags
    )
    absl_flags.DEFINE_integer("runs", 30, "timed runs of each", lower_bound=1, flag_values=flags)
    absl_flags.DEFINE_integer(
        "input_size",
        None,
        "pixels; needed with --all where the model takes any size",
        lower_bound=1,
        flag_values=flags,
    )
    absl_flags.DEFINE_string(
        "data",
        None,
        "with --all, images to compare on (test split) and to calibrate with (training split): "
        "digits, a folder, tfds:NAME or list:FILE; default crops of two photographs",
        flag_values=flags,
    )
    absl_flags.DEFINE_integer("images", 100, "how many of --data", lower_bound=1, flag_values=flags)
    absl_flags.DEFINE_string("json", None, "file to write the result to", flag_values=flags)


def run(flags: absl_flags.FlagValues) -> int:
    """Measure, print, and write the JSON file where one was asked for."""
    from burn_tf._files import atomic_write

    if (flags.file is None) == (flags.all is None):
        both = "both" if flags.file else "neither"
        raise UserError(
            f"`burn-tf benchmark` needs one of --file and --all. Received: {both}. "
            "See `burn-tf benchmark --help`."
        )
    if flags.file is not None:
        check_unused(flags, ("input_size", "data", "images"), "--all")
    if flags.data is None:
        check_unused(flags, ("images",), "--data")
    threads = [_thread_count(word) for word in flags.threads]
    if flags.json is not None:
        check_file_target("json", flags.json)
    result = _one_file(flags, threads) if flags.file else _all_kinds(flags, threads)
    if flags.json is not None:
        atomic_write(flags.json, json.dumps(result, indent=2, sort_keys=True) + "\n")
    return 0


def _thread_count(word: str) -> int:
    from burn_tf.export.runtime import MOST_THREADS

    if not word.strip().isdecimal() or not 1 <= int(word[:9]) <= MOST_THREADS:
        raise UserError(
            f"`threads` must be whole numbers from 1 to {MOST_THREADS}, such as 1,2. "
            f"Received: {word!r}"
        )
    return int(word)


def _one_file(flags: absl_flags.FlagValues, threads: list[int]) -> dict[str, Any]:
    from burn_tf._files import read_whole
    from burn_tf.export.latency import measure

    flatbuffer = read_whole(flags.file)
    with quiet_stderr():
        report = measure(flatbuffer, threads=threads, runs=flags.runs)
    print(report)
    return report.to_dict()


def _all_kinds(flags: absl_flags.FlagValues, threads: list[int]) -> dict[str, Any]:
    from burn_tf.export.comparison import compare_targets
    from burn_tf.export.machine import describe_machine

    if len(threads) != 1:
        raise UserError(f"`threads` must be one number with --all. Received: {threads}")
    model = models.load_model(flags.all, flags.input_size)
    images: dict[str, Any] = {}
    if flags.data is not None:
        side = models.needed_side(model, flags.input_size)
        for name, split in (("pictures", "test"), ("calibration", "train")):
            images[name] = load_pixels(flags.data, split, side, flags.images)
    with quiet_stderr():
        rows = compare_targets(
            model, input_size=flags.input_size, threads=threads[0], runs=flags.runs, **images
        )
    machine = describe_machine()
    print(table(rows))
    print(f"\nMachine: {machine}\nThreads: {threads[0]}, {flags.runs} runs of each, in turns")
    return {
        "machine": dataclasses.asdict(machine),
        "rows": [dataclasses.asdict(row) for row in rows],
    }


def table(rows: tuple[TargetRow, ...]) -> str:
    """The rows as a Markdown table, and below it what runs each or why there is no file."""
    lines = [
        "| | bytes | ms, median | ms, p90 | same answer as Keras | difference, median | greatest |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        if row.latency is None:
            lines.append(f"| {row.name} | no file | | | | | |")
            continue
        lines.append(
            f"| {row.name} | {row.size_bytes:,} | {row.latency.median_ms:.2f} | "
            f"{row.latency.p90_ms:.2f} | {row.top1_agreement:.1%} | "
            f"{row.median_abs_difference:.1e} | {row.max_abs_difference:.1e} |"
        )
    return "\n".join([*lines, "", *(f"{row.name}: {row.note}" for row in rows)])
