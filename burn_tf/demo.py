"""The main job in one go: pictures without labels in, a binary backbone for phones out."""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from burn_tf import __version__
from burn_tf._files import atomic_write
from burn_tf.data import Source, eval_dataset, load_source
from burn_tf.evaluation import EvaluationData, extract_features, get_protocol, raw_pixels
from burn_tf.export import to_lce, verify
from burn_tf.recipes import Recipe, get_recipe, override
from burn_tf.recipes.options import SupervisedOptions
from burn_tf.report import (
    Chart,
    bar_chart,
    embedding_scatter,
    format_table,
    training_curves,
    write_report,
)
from burn_tf.training import build_backbone, load_backbone, pretrain
from burn_tf.watching.run_files import BACKBONE_FILE, METRICS_FILE, TEACHER_FOLDER

LINEAR, NEIGHBOURS = "linear:fast", "knn:5"
SUPERVISED_FOLDER = "supervised"
_MIN_BATCHES = 4


class Demo:
    """Teacher, BURN in two stages, probes, export and report, in one work directory.

    Args:
        data: a source as `burn_tf.data.load_source` takes it; without labels the probes are left
            out.
        workdir: folder for everything; a run that was cut off goes on.
        recipe: name of a BURN recipe; None chooses "burn_digits" for digits, else "burn_pictures".
        settings: key=value settings of the recipe.
        strict: stop at an image that cannot be read, in place of skipping it.

    Raises:
        UserError: as `load_source`, `override` and `pretrain` do.
    """

    def __init__(
        self,
        data: str = "digits",
        workdir: str | os.PathLike[str] = "burn_demo",
        *,
        recipe: str | None = None,
        settings: Sequence[str] = (),
        strict: bool = False,
    ) -> None:
        self.data = data
        self.folder = Path(workdir)
        self.train = load_source(data, split="train", strict=strict)
        self.test = load_source(data, split="test", strict=strict)
        name = recipe or ("burn_digits" if data == "digits" else "burn_pictures")
        chosen = override(get_recipe(name), settings)
        given = any(setting.partition("=")[0].strip() == "batch_size" for setting in settings)
        self.recipe = chosen if given else _fitted(chosen, self.train)

    def run(self) -> dict[str, Any]:
        """Do everything; returns what `summary.json` holds."""
        start = time.monotonic()
        _say(
            f"{self.train.num_images} training and {self.test.num_images} test images "
            f"from {self.data}"
        )
        backbone = pretrain(self.recipe, self.train, self.folder)
        rows = self._probe(backbone) if self._labelled() else []
        parity = self._export(backbone)
        summary = {
            "data": self.data,
            "train_images": self.train.num_images,
            "test_images": self.test.num_images,
            "skipped_images": len(self.train.skipped) + len(self.test.skipped),
            "recipe": self.recipe.name,
            "table": rows,
            "export": parity,
            "seconds": round(time.monotonic() - start, 1),
            "versions": _versions(),
        }
        atomic_write(self.folder / "summary.json", json.dumps(summary, indent=2) + "\n")
        self._report(backbone, summary)
        self._print(summary)
        return summary

    def _labelled(self) -> bool:
        return self.train.labels is not None and self.test.labels is not None

    def _image_size(self) -> int:
        return self.recipe.views.image_size

    def _backbones(self, backbone: tf.keras.Model) -> dict[str, Callable[..., tf.Tensor]]:
        tf.keras.utils.set_random_seed(self.recipe.seed)
        untrained = build_backbone(self.recipe.backbone, self._image_size(), "both")
        weights = self.recipe.teacher.weights if self.recipe.teacher else None
        teacher = load_backbone(weights or self.folder / TEACHER_FOLDER / BACKBONE_FILE)
        return {
            "raw pixels": raw_pixels,
            "untrained binary backbone": untrained,
            "BURN (binary, no labels)": backbone,
            "float teacher (no labels)": teacher,
            "same backbone, trained with labels": self._supervised(),
        }

    def _supervised(self) -> tf.keras.Model:
        folder = self.folder / SUPERVISED_FOLDER
        return pretrain(with_labels(self.recipe), self.train, folder, label="with labels, ")

    def _probe(self, backbone: tf.keras.Model) -> list[dict[str, Any]]:
        data = EvaluationData(self.train, self.test, image_size=self._image_size())
        rows = []
        for name, network in self._backbones(backbone).items():
            _say(f"probing {name}")
            scores = {
                p: get_protocol(p).run(network, data).metrics["top1"] for p in (LINEAR, NEIGHBOURS)
            }
            rows.append(
                {
                    "features": name,
                    "linear top-1 %": round(scores[LINEAR], 2),
                    "5-NN top-1 %": round(scores[NEIGHBOURS], 2),
                }
            )
        return rows

    def _export(self, backbone: tf.keras.Model) -> dict[str, Any]:
        _say("exporting to the Larq Compute Engine and comparing with Keras")
        export = to_lce(backbone)
        images = _test_images(self.test, self._image_size())
        parity = verify(export.flatbuffer, backbone, images)
        path = self.folder / "backbone.tflite"
        export.save(path)
        return {
            "file": path.name,
            "bytes": len(export.flatbuffer),
            "binary_layers": export.report.num_binary,
            **parity.to_dict(),
        }

    def _report(self, backbone: tf.keras.Model, summary: dict[str, Any]) -> None:
        features, labels = extract_features(backbone, self._test_views())
        curves = training_curves(self.folder / METRICS_FILE)
        if (self.folder / TEACHER_FOLDER / METRICS_FILE).exists():
            curves += [
                dataclasses.replace(chart, title=f"Teacher: {chart.title}")
                for chart in training_curves(self.folder / TEACHER_FOLDER / METRICS_FILE)
            ]
        scatter = embedding_scatter(
            features,
            labels if self._labelled() else None,
            title="Test images in BURN's features",
            class_names=self.test.class_names,
        )
        count = min(12, self.test.num_images)
        write_report(
            self.folder / "report.html",
            title=f"BURN on {self.data}",
            summary={
                key: value for key, value in summary.items() if key not in ("table", "export")
            },
            table=summary["table"],
            curves=curves,
            scatters=[*_bars(summary["table"]), scatter],
            notes=_notes(summary),
            gallery=[(f"test image {i}", self.test.image(i)) for i in range(count)],
        )

    def _test_views(self) -> tf.data.Dataset:
        return eval_dataset(self.test, image_size=self._image_size(), batch_size=256)

    def _print(self, summary: dict[str, Any]) -> None:
        export = summary["export"]
        if summary["table"]:
            print(f"\n{format_table(summary['table'])}")
        else:
            print(
                "\nThese pictures have no labels: the backbone is trained and exported, not scored."
            )
        print(
            f"\nLCE file: {export['bytes']:,} bytes, {export['binary_layers']} binary layers; "
            f"{_agreement(export)}"
        )
        print(
            f"Everything is in {self.folder}/ (open report.html); {summary['seconds']:.0f} s",
            flush=True,
        )


def with_labels(recipe: Recipe) -> Recipe:
    """The recipe's backbone trained by labels, for as many updates as all its stages.

    Activations and weights are binary throughout; views, batch and optimizer are the recipe's.
    """
    stages = len(recipe.stages)
    return dataclasses.replace(
        recipe,
        name=f"{recipe.name}_with_labels",
        method=SupervisedOptions(),
        teacher=None,
        views=dataclasses.replace(recipe.views, num_views=1),
        stages=("both",),
        epochs=stages * recipe.epochs,
        max_steps=None if recipe.max_steps is None else stages * recipe.max_steps,
    )


def _fitted(recipe: Recipe, source: Source) -> Recipe:
    """The recipe with a batch that a small collection fills a few times."""
    most = max(2, source.num_images // _MIN_BATCHES)
    if recipe.batch_size <= most:
        return recipe
    _say(f"batch size {most} in place of {recipe.batch_size}: there are {source.num_images} images")
    return dataclasses.replace(recipe, batch_size=most)


def _test_images(source: Source, image_size: int) -> np.ndarray:
    batches = eval_dataset(source, image_size=image_size, batch_size=256)
    return np.concatenate([images.numpy() for images, _ in batches.take(8)])


def _bars(table: list[dict[str, Any]]) -> list[Chart]:
    if not table:
        return []
    names = [row["features"] for row in table]
    scores = {key: [row[key] for row in table] for key in table[0] if key != "features"}
    return [bar_chart("Top-1 accuracy on the test images", names, scores, unit=" %")]


def _notes(summary: dict[str, Any]) -> list[str]:
    export = summary["export"]
    return [
        f"Linear probe: protocol {LINEAR}; neighbours: protocol {NEIGHBOURS}. Labels are used by "
        "the probes and by the last row alone.",
        f"backbone.tflite: {export['bytes']:,} bytes, {export['binary_layers']} binary layers; "
        f"{_agreement(export)}.",
    ]


def _agreement(export: dict[str, Any]) -> str:
    return (
        f"same greatest output as Keras on {100 * export['top1_agreement']:.2f} % of "
        f"{export['num_images']} test images, largest difference {export['max_abs_difference']:.2g}"
    )


def _versions() -> dict[str, str]:
    return {
        "burn_tf": __version__,
        "tensorflow": tf.__version__,
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
    }


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
