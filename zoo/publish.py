"""Ships the backbone of a run: packed weights, manifest entry and card, in one command.

    python -m zoo.publish --name burn_reactnet_a --run runs/burn --summary "..." \\
        --data "CIFAR-10, 50,000 training images without their labels" --teacher "..." \\
        --command "burn-tf evaluate --data=cifar10 --protocol={protocol}" \\
        --result "this model=linear.json" --result "untrained=untrained.json"

`--run` is a work directory of `burn-tf pretrain`: recipe, network and curves are read from it.
What is left out keeps what the entry says already, so that figures can be added later. Nothing is
written before the packed file was loaded back and gave the features of the backbone.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import burn_tf  # noqa: F401  selects Keras 2 before TensorFlow is imported

# isort: split
import numpy as np
import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf._files import atomic_write
from burn_tf.backbones.top import load_weights
from burn_tf.convert import load_packed_weights, save_packed
from burn_tf.data.preprocessing import IMAGENET_MEAN, IMAGENET_STD
from burn_tf.recipes import get_recipe, setting_keys
from burn_tf.recipes.base import Network, Recipe
from burn_tf.report import training_curves
from burn_tf.training import BACKBONE_FILE, load_backbone
from burn_tf.watching.run_files import METRICS_FILE, RUN_FILE
from zoo import manifest
from zoo.download import sha256_of
from zoo.floors import measure_floor
from zoo.manifest import (
    DEFAULT,
    Entry,
    Floor,
    Measured,
    Metric,
    ModelInput,
    Paper,
    WeightFile,
    manifest_text,
    read_manifest,
)
from zoo.model_cards import card_path, new_card, with_facts
from zoo.networks import Ends, build_network, build_to_fill
from zoo.records import build_record, parse_json
from zoo.weight_files import check_settings

PAPERS = {
    "BURN": Paper(
        "Kim and Choi, Unsupervised Representation Learning for Binary Networks by Joint "
        "Classifier Learning, CVPR 2022",
        "https://arxiv.org/abs/2110.08851",
    ),
}
# Largest difference from the backbone, relative to its largest feature.
_TOLERANCE = {"float32": 1e-4, "float16": 5e-2}
# What a card shows of a run; the report of the run has the rest.
_CURVES = ("Loss terms", "Spread of the features", "What the joint classifier")


@dataclasses.dataclass(frozen=True)
class Run:
    """What the work directory of a pretraining says."""

    folder: Path
    recipe: Recipe
    settings: tuple[str, ...]

    @property
    def backbone(self) -> Path:
        return self.folder / BACKBONE_FILE


def main(words: Sequence[str] | None = None) -> int:
    """Publish, or say in one line why not. Returns the exit code."""
    options = _parser().parse_args(words)
    try:
        entry = publish(options)
    except (UserError, OSError) as error:
        print(f"zoo.publish: {error}", file=sys.stderr)
        return 2
    file = entry.file()
    print(
        f"{entry.name}: {file.size:,} bytes, {len(entry.metrics)} figures, {card_path(entry.name)}"
    )
    return 0


def publish(options: argparse.Namespace) -> Entry:
    """Write weights, card and manifest, in this order, and give the entry.

    Raises:
        UserError: something is missing, does not fit, or is not what was loaded back.
    """
    known = read_manifest()
    before = known.get(options.name)
    run = None if options.run is None else read_run(Path(options.run))
    if run is None and before is None:
        raise UserError("`--run` is needed for a model that is not in the zoo. Received: none")
    drafts = manifest.FOLDER / "weights"
    drafts.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=drafts) as draft:
        entry = _described(options, before, run, Path(draft) / f"{options.name}.safetensors")
        text = _card_text(entry, run)
        for packed in Path(draft).iterdir():
            os.replace(packed, drafts / packed.name)
    atomic_write(card_path(entry.name), text)
    atomic_write(
        manifest.FOLDER / "manifest.json", manifest_text((known | {entry.name: entry}).values())
    )
    return entry


def read_run(folder: Path) -> Run:
    """The recipe that a work directory was made by, and how it departs from the shipped one.

    Raises:
        UserError: no finished run.
    """
    record = folder / RUN_FILE
    if not (record.is_file() and (folder / BACKBONE_FILE).is_file()):
        raise UserError(f"`--run` must be the folder of a finished pretraining. Received: {folder}")
    values = parse_json(record.read_text(encoding="utf-8"), str(record))["recipe"]
    shipped = get_recipe(values["name"])
    network = build_record(Network, values["backbone"], f"{record}: recipe.backbone")
    views = dataclasses.replace(shipped.views, image_size=values["views"]["image_size"])
    recipe = dataclasses.replace(shipped, backbone=network, views=views)
    return Run(folder, recipe, tuple(_departures(shipped, values)))


def float_backbone(run: Run) -> tf.keras.Model:
    """The backbone in float32, whatever precision it was trained in.

    Raises:
        UserError: the file is not the network of the recipe.
    """
    trained = load_backbone(run.backbone)
    network, size = run.recipe.backbone, run.recipe.views.image_size
    model = build_network(network, Ends(pooling="avg"), size, network.name)
    stored = {layer.name: layer.get_config() for layer in trained.layers}
    check_settings(model, stored, str(run.backbone))
    unfinished = [
        name for name, config in stored.items() if config.get("binarize") == "activations"
    ]
    if unfinished:
        raise UserError(
            f"{run.backbone} must have binary weights: finish its last stage. Received: real "
            f"weights in layer {unfinished[0]!r}"
        )
    return load_weights(model, run.backbone)


def pack(model: tf.keras.Model, network: Network, size: int, path: Path, float_dtype: str) -> None:
    """Write the packed file, load it as users will, and compare features.

    Raises:
        UserError: a kernel that is not binary, or features that differ.
    """
    save_packed(model, path, float_dtype=float_dtype)
    loaded = build_to_fill(
        lambda model: load_packed_weights(model, path),
        lambda: build_network(network, Ends(pooling="avg"), size, model.name),
    )
    images = np.random.default_rng(0).normal(size=(8, size, size, 3)).astype(np.float32)
    ours, theirs = (np.asarray(network(images)) for network in (model, loaded))
    difference = float(np.abs(ours - theirs).max() / np.abs(ours).max())
    if not difference <= _TOLERANCE[float_dtype]:
        raise UserError(
            f"the packed file must give the backbone's features to {_TOLERANCE[float_dtype]:g}. "
            f"Received: a relative difference of {difference:g}"
        )


def read_results(options: argparse.Namespace) -> Iterator[Metric]:
    """The figures of `burn-tf evaluate --json` files, "SUBJECT=FILE".

    Raises:
        UserError: a word without "=", or a file that is no such result.
    """
    for word in options.result:
        subject, found, path = word.partition("=")
        if not found:
            raise UserError(f"`--result` takes SUBJECT=FILE. Received: {word!r}")
        record = parse_json(Path(path).read_text(encoding="utf-8"), path)
        if not isinstance(record, dict) or not {"protocol", "metrics", "provenance"} <= set(record):
            raise UserError(
                f"`--result` takes files of burn-tf evaluate --json. Received: {path!r}"
            )
        yield from _metrics(options, subject, record)


def _metrics(options: argparse.Namespace, subject: str, record: dict[str, Any]) -> Iterator[Metric]:
    if options.command is None:
        raise UserError("`--command` is needed with --result: what made these figures")
    made = record["provenance"]
    measured = Measured(
        date=str(made.get("date", options.date))[:10],
        command=options.command.replace("{protocol}", record["protocol"]),
        commit=options.commit or _commit(),
        machine=options.machine,
    )
    for name, value in record["metrics"].items():
        if options.metrics is None or name in options.metrics.split(","):
            data = options.data_name or made["data"]["train"]["name"]
            yield Metric(subject, data, record["protocol"], name, round(value, 2), measured)


def _departures(shipped: Recipe, values: dict[str, Any]) -> Iterator[str]:
    """`--set` words that turn the shipped recipe into the one that was run."""
    current = shipped.to_dict()
    for key in setting_keys(shipped):
        own, other = _at(current, key), _at(values, key)
        if json.loads(json.dumps(own)) != other:
            yield f"{key}={_shown(key, other)}"


def _shown(key: str, value: Any) -> Any:
    # Where a file lay says nothing to others.
    if key == "teacher.weights" and value is not None:
        return Path(value).name
    return ",".join(value) if isinstance(value, list) else value


def _at(values: Any, key: str) -> Any:
    for part in key.split("."):
        values = values.get(part) if isinstance(values, dict) else None
    return values


def _described(
    options: argparse.Namespace, before: Entry | None, run: Run | None, path: Path
) -> Entry:
    """The entry that the options make of the earlier one; packs the backbone of a run to `path`."""
    values: dict[str, Any] = {} if before is None else _fields(before)
    values["name"] = options.name
    for key in ("summary", "data", "teacher", "licence", "origin"):
        if getattr(options, key) is not None:
            values[key] = getattr(options, key)
    if options.paper is not None:
        values["paper"] = Paper(*options.paper)
    if run is not None:
        values |= _from_run(run, path, options.float_dtype)
    values.setdefault("licence", "Apache-2.0")
    values.setdefault("origin", "trained by this project")
    if values["method"] in PAPERS:
        values.setdefault("paper", PAPERS[values["method"]])
    values["metrics"] = _merged(values.get("metrics", ()), read_results(options))
    missing = [
        f"--{name}" for name in ("summary", "data", "teacher", "paper") if name not in values
    ]
    if missing:
        raise UserError(f"{', '.join(missing)} needed for a new model. Received: none")
    entry = Entry(**values)
    return _with_floor(entry, options, path) if options.floor else entry


def _fields(record: Any) -> dict[str, Any]:
    return {field.name: getattr(record, field.name) for field in dataclasses.fields(record)}


def _from_run(run: Run, path: Path, float_dtype: str) -> dict[str, Any]:
    model = float_backbone(run)
    network, size = run.recipe.backbone, run.recipe.views.image_size
    pack(model, network, size, path, float_dtype)
    return {
        "network": network,
        "files": (WeightFile(path.name, path.stat().st_size, sha256_of(path)),),
        "input": ModelInput(size, IMAGENET_MEAN, IMAGENET_STD),
        "feature_dim": int(model.output_shape[-1]),
        "method": type(run.recipe.method).__name__.removesuffix("Options"),
        "recipe": run.recipe.name,
        "settings": run.settings,
        # Figures of other weights would be false.
        "metrics": (),
        "floor": None,
    }


def _merged(before: Sequence[Metric], new: Iterator[Metric]) -> tuple[Metric, ...]:
    """Earlier figures and new ones; of two of the same thing the new one."""
    found = {(m.subject, m.data, m.protocol, m.metric): m for m in before}
    found |= {(m.subject, m.data, m.protocol, m.metric): m for m in new}
    return tuple(found.values())


def _with_floor(entry: Entry, options: argparse.Namespace, path: Path) -> Entry:
    """The entry with a floor a little below what its packed file reaches now."""
    protocol, data = options.floor
    name = options.data_name or Path(data).name
    floor = Floor(
        data=name,
        protocol=protocol,
        metric="top1",
        value=0.0,
        train_images=options.floor_images[0],
        test_images=options.floor_images[1],
    )
    file = path if path.is_file() else manifest.FOLDER / "weights" / entry.file(DEFAULT).name
    model = build_to_fill(
        lambda model: load_packed_weights(model, file),
        lambda: build_network(entry.network, Ends(pooling="avg"), entry.input.size, entry.name),
    )
    value = round(measure_floor(model, floor, data) - options.floor_margin, 1)
    return dataclasses.replace(entry, floor=dataclasses.replace(floor, value=value))


def _card_text(entry: Entry, run: Run | None) -> str:
    """The card with new facts; what stands around them stays. Writes the curves beside it."""
    path = card_path(entry.name)
    text = with_facts(path.read_text(encoding="utf-8"), entry) if path.exists() else new_card(entry)
    if run is None or not (run.folder / METRICS_FILE).is_file():
        return text
    charts = [c for c in training_curves(run.folder / METRICS_FILE) if c.title.startswith(_CURVES)]
    for number, chart in enumerate(charts, 1):
        name = f"{entry.name}_{number}.svg"
        atomic_write(path.with_name(name), chart.svg + "\n")
        if f"({name})" not in text:
            text += f"\n![{chart.title}]({name})\n"
    return text


def _commit() -> str:
    done = subprocess.run(
        ["git", "rev-parse", "HEAD"],
        cwd=manifest.FOLDER,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise UserError("`--commit` is needed outside of a checkout. Received: none")
    return done.stdout.strip()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("zoo.publish", description=(__doc__ or "").split("\n")[0])
    add = parser.add_argument
    add("--name", required=True, help="of the entry: lower-case letters, digits and _")
    add("--run", help="work directory of a finished burn-tf pretrain")
    add(
        "--float_dtype", default="float32", choices=sorted(_TOLERANCE), help="of non-binary weights"
    )
    add("--summary", help="one line")
    add("--data", help="what it was trained on, and whether labels were used")
    add("--teacher", help="where the teacher's knowledge comes from, labels included")
    add("--licence", help="of the weights; default Apache-2.0")
    add("--origin", help="who trained them; default: this project")
    add("--paper", nargs=2, metavar=("TITLE", "URL"), help="default: that of BURN, for BURN")
    add("--result", action="append", default=[], metavar="SUBJECT=FILE", help="may be repeated")
    add("--metrics", help="names of figures to take from results, with commas; default: all")
    add("--command", help="what made the results; {protocol} is filled in")
    add("--data_name", help="of the results and the floor; default: what was given to evaluate")
    add("--date", default=datetime.date.today().isoformat(), help="where a result has none")
    add("--commit", help="default: that of the checkout")
    add("--machine", default=f"{platform.machine()}, {os.cpu_count()} cores", help="of the results")
    add("--floor", nargs=2, metavar=("PROTOCOL", "DATA"), help="measure the floor of the tests")
    add("--floor_images", nargs=2, type=int, default=(5000, 1000), metavar=("TRAIN", "TEST"))
    add("--floor_margin", type=float, default=2.0, help="points below what is measured")
    return parser


if __name__ == "__main__":
    sys.exit(main())
