"""Measure a backbone with named protocols: linear probes, neighbours, fine-tuning and more.

Several protocols share one extraction of features, and features are kept for the next call.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags as absl_flags

from burn_tf._checks import UserError
from burn_tf.cli import models
from burn_tf.cli.data import DATA_HELP
from burn_tf.cli.flag_values import check_unused
from burn_tf.cli.targets import check_file_target

if TYPE_CHECKING:
    from burn_tf.evaluation import Result

_NO_CACHE = "none"
_WITH_OUTPUT = ("detect:voc", "segment:coco")


def register(flags: absl_flags.FlagValues) -> None:
    """The flags of `burn-tf evaluate`."""
    absl_flags.DEFINE_list(
        "protocol",
        None,
        "one or more, with commas: linear:burn, linear:burn-scene, linear:msbreg, linear:fast, "
        "knn:5, knn:20, knn:200, semi:1pct, semi:10pct, semi:list, svm:voc07, svm:voc07-fewshot, "
        "embedding, detect:voc, segment:coco, and transfer:NAME with NAME cifar10, cifar100, "
        "cub200, birdsnap, places205 or inat18",
        flag_values=flags,
    )
    absl_flags.DEFINE_string(
        "model", None, f"{models.MODEL_HELP}; or {models.RAW_PIXELS}", flag_values=flags
    )
    absl_flags.DEFINE_string("data", None, DATA_HELP, flag_values=flags)
    absl_flags.DEFINE_string(
        "json",
        None,
        "file to write the result to; of several protocols, a list of results",
        flag_values=flags,
    )
    absl_flags.DEFINE_string(
        "cache",
        None,
        "folder that keeps features, by weights and images, or none; features in BURN_TF_HOME "
        "(or the platform's cache folder) where it is not given",
        flag_values=flags,
    )
    absl_flags.DEFINE_string(
        "output",
        None,
        "folder for what detect:voc and segment:coco make beside their figures: the detector "
        "and pictures for burn-tf report",
        flag_values=flags,
    )
    absl_flags.DEFINE_boolean(
        "antialias", True, "Pillow's filter where images are made smaller", flag_values=flags
    )
    absl_flags.DEFINE_integer(
        "image_size",
        None,
        "pixels; needed where the model takes any size",
        lower_bound=1,
        flag_values=flags,
    )
    absl_flags.DEFINE_integer(
        "batch_size", 256, "images per forward pass", lower_bound=1, flag_values=flags
    )
    absl_flags.DEFINE_boolean(
        "strict", False, "stop at an image that cannot be read", flag_values=flags
    )
    absl_flags.mark_flags_as_required(["protocol", "model", "data"], flag_values=flags)


def run(flags: absl_flags.FlagValues) -> int:
    """Load, measure, print a row or a table, and write the JSON file where one was asked for."""
    from burn_tf import data, evaluation
    from burn_tf._files import atomic_write
    from burn_tf.report.runs import OTHER_DATA

    evaluation.check_protocols(flags.protocol)
    if not set(_WITH_OUTPUT) & set(flags.protocol):
        check_unused(flags, ("output",), " and ".join(_WITH_OUTPUT))
    if flags.json is not None:
        check_file_target("json", flags.json)
    cache = _cache_folder(flags.cache)
    model = models.load_features(flags.model, flags.image_size)
    image_size = _image_size(flags.image_size, models.input_side(model))
    train, test = (
        data.load_source(flags.data, split=split, strict=flags.strict)
        for split in ("train", "test")
    )
    splits = evaluation.EvaluationData(
        train,
        test,
        image_size,
        flags.batch_size,
        cache,
        progress=True,
        antialias=flags.antialias,
        output=flags.output,
    )
    results = evaluation.run_protocols(flags.protocol, model, splits)
    if flags.json is not None and flags.output is not None:
        results = [_movable(result, flags.json, flags.output) for result in results]
    for result in results:
        if OTHER_DATA in result.provenance:
            said = f"{result.protocol}: {result.provenance[OTHER_DATA]}"
            print(f"burn-tf: warning: {said}", file=sys.stderr)
    print(_table(results), flush=True)
    if flags.json is not None:
        atomic_write(flags.json, _json(results) + "\n")
    return 0


def _cache_folder(asked: str | None) -> Path | None:
    if asked == _NO_CACHE:
        return None
    if asked is not None:
        return Path(asked).expanduser().absolute()
    from zoo.cache import cache_folder

    return cache_folder() / "features"


def _movable(result: Result, json_file: str, output: str) -> Result:
    """The result with the pictures in `output` named as seen from the JSON file."""
    here, pictures = Path(json_file).absolute().parent, Path(output).absolute()
    entries = [
        {**entry, "image": os.path.relpath(entry["image"], here)}
        if pictures in Path(entry["image"]).parents
        else entry
        for entry in result.provenance.get("detections", [])
    ]
    known = {"detections": entries} if entries else {}
    return dataclasses.replace(result, provenance={**result.provenance, **known})


def _table(results: Sequence[Result]) -> str:
    from burn_tf.report.terminal import format_table

    rows = [result.to_row() for result in results]
    if len(rows) > 1:
        return format_table(rows)
    return "  ".join(f"{key} {_shown(value)}" for key, value in rows[0].items())


def _json(results: Sequence[Result]) -> str:
    if len(results) == 1:
        return results[0].to_json()
    records = [json.loads(result.to_json()) for result in results]
    return json.dumps(records, indent=2, sort_keys=True, allow_nan=False)


def _image_size(asked: int | None, fixed: int | None) -> int:
    if fixed is None and asked is None:
        raise UserError("`model` takes images of any size: say which with --image_size=PIXELS")
    if fixed is not None and asked is not None and fixed != asked:
        raise UserError(
            f"`image_size` must be {fixed}, which the model is built for. Received: {asked}"
        )
    return int(fixed if asked is None and fixed is not None else asked or 0)


def _shown(value: str | float) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)
