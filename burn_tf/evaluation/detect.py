"""Detection protocol: a RetinaNet on the backbone, trained on boxes and scored on others."""

from __future__ import annotations

import importlib.metadata
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from PIL import Image

from burn_tf._checks import UserError
from burn_tf._files import atomic_path
from burn_tf.data import Source
from burn_tf.detection import Detections, Detector, DetectorTraining, check_boxes
from burn_tf.evaluation.box_precision import check_pycocotools, coco_precision, voc07_precision
from burn_tf.evaluation.features import EvaluationData
from burn_tf.evaluation.results import Result
from burn_tf.evaluation.splits import run_provenance
from burn_tf.report import boxes_of, detection_record

DETECTOR_FILE = "detector.safetensors"
_PICTURES = 12
_SHOWN_SCORE = 0.3


class DetectionProbe:
    """KerasCV's RetinaNet on the pyramid of a backbone, all of it trained, AP on the test split.

    Figures, in percent and as means over the classes that the test split has: `ap`, `ap50` and
    `ap75` as COCO defines them (difficult objects ignored), and `ap50_voc07` over 11 points. An
    image without an object is scored (and trained on) as one in which everything is background.

    Args:
        name: Protocol identifier written into the result.
        training: Settings of the training; default `DetectorTraining`'s.
        width: channels of pyramid and heads, at least 1. Default 256.
        depth: convolutions in each head, at least 0. Default 4.
        anchor_size: see `retinanet`. None: a quarter of `image_size`, from 16 to 32 px.

    Raises:
        UserError: in `run` a backbone without pyramid levels, a split without boxes, classes that
            differ, a loss that is not finite; pycocotools is not installed.

    Example:
        >>> from burn_tf.evaluation import DetectionProbe
        >>> DetectionProbe().get_config()["training"]["epochs"]
        24

    Source: BURN (arXiv 2110.08851), transfer to Pascal VOC, train 07+12, test 07; methods.md,
        section 4. Schedule: see `DetectorTraining`.
    Departs from source: RetinaNet where the paper has Faster R-CNN, one square image size.
    """

    def __init__(
        self,
        name: str = "detect:voc",
        training: DetectorTraining | None = None,
        width: int = 256,
        depth: int = 4,
        anchor_size: float | None = None,
    ) -> None:
        self.name = name
        self.training = training or DetectorTraining()
        self.width, self.depth, self.anchor_size = width, depth, anchor_size

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, as JSON types."""
        return {
            "name": self.name,
            "training": self.training.get_config(),
            "width": self.width,
            "depth": self.depth,
            "anchor_size": self.anchor_size,
        }

    def check(self, data: EvaluationData) -> None:
        """Refuse data that cannot be used, before any work.

        Raises:
            UserError: no boxes, no object to learn or to find, classes that differ between the
                splits, no pycocotools to score with, or an `output` that is no folder.
        """
        check_pycocotools()
        _check_folder(data.output)
        for source in (data.train, data.test):
            check_boxes(source)
        if data.train.class_names != data.test.class_names:
            counts = [len(side.class_names or ()) for side in (data.train, data.test)]
            raise UserError(
                "`train` and `test` must have the same classes. "
                f"Received: {counts[0]} class names in train and {counts[1]} others in test"
            )
        for side, source in (("train", data.train), ("test", data.test)):
            if not any((~(found.difficult | found.crowd)).any() for found in source.objects):
                raise UserError(
                    f"`{side}` must have an object that is neither difficult nor a crowd. "
                    f"Received: {source.name!r} with none"
                )

    def run(self, backbone: tf.keras.Model, data: EvaluationData) -> Result:
        """Train a detector and score it on the test split.

        Args:
            backbone: of this package, with named blocks; its weights are read, not changed.
            data: splits with boxes; where `data.output` is given, the detector and pictures of the
                first test images are written there.

        Returns:
            The figures; `provenance["classes"]` has those of each class and
            `provenance["detections"]` what `burn-tf report` draws.
        """
        self.check(data)
        names = class_names(data)
        detector = Detector.of(
            backbone,
            names,
            data.image_size,
            width=self.width,
            depth=self.depth,
            anchor_size=self.anchor_size,
            seed=self.training.seed,
        )
        losses = self.training.run(detector, data.train, antialias=data.antialias, report=self._say)
        found = detector.detect_source(
            data.test,
            batch_size=min(data.batch_size, self.training.batch_size),
            antialias=data.antialias,
        )
        metrics, rows = detection_metrics(data.test, found, names)
        facts = self._facts(data, found, rows, losses)
        if data.output is not None:
            detector.save(Path(data.output) / DETECTOR_FILE)
        facts |= {"detections": pictures(data.test, found, names, data.output)}
        provenance = run_provenance(backbone, data, self.get_config()) | facts
        return Result(self.name, metrics, provenance)

    def _say(self, epoch: int, loss: float) -> None:
        text = f"{self.name}: epoch {epoch} of {self.training.epochs}: loss {loss:.4f}"
        print(text, file=sys.stderr, flush=True)

    def _facts(
        self,
        data: EvaluationData,
        found: Sequence[Detections],
        rows: list[dict[str, Any]],
        losses: Sequence[float],
    ) -> dict[str, Any]:
        empty = {
            side: sum(not len(objects) for objects in source.objects)
            for side, source in (("train", data.train), ("test", data.test))
        }
        resize = f"long side to {data.image_size} px, placed on a square, boxes scaled along"
        return {
            "data": data.describe() | {"resize": resize},
            "images_without_objects": empty,
            "box_repairs": {"train": data.train.repairs, "test": data.test.repairs},
            "classes": rows,
            "num_detections": sum(len(one) for one in found),
            "loss_by_epoch": [round(loss, 6) for loss in losses],
            "pycocotools": importlib.metadata.version("pycocotools"),
        }


def _check_folder(output: str | os.PathLike[str] | None) -> None:
    """Makes the folder before the training, which a path that is a file would throw away."""
    if output is None:
        return
    try:
        Path(output).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            "`output` must be a folder that is there or can be made. "
            f"Received: {os.fspath(output)!r} ({error.strerror})"
        ) from error


def class_names(data: EvaluationData) -> tuple[str, ...]:
    """Names of the classes of both splits; their numbers where the source has none."""
    if data.train.class_names is not None:
        return tuple(data.train.class_names)
    objects = (*data.train.objects, *data.test.objects)
    highest = max(int(found.classes.max()) for found in objects if len(found))
    return tuple(str(number) for number in range(highest + 1))


def detection_metrics(
    test: Source, found: Sequence[Detections], names: Sequence[str]
) -> tuple[dict[str, float], list[dict[str, Any]]]:
    """Figures in percent: means over the classes with an object, and a row per such class."""
    coco = coco_precision(test.objects, found, len(names))
    voc = voc07_precision(test.objects, found, len(names))
    rows: list[dict[str, Any]] = [
        {"class": name}
        | {key: 100.0 * value for key, value in one.items()}
        | {"ap50_voc07": 100.0 * old}
        for name, one, old in zip(names, coco, voc, strict=True)
        if one is not None and old is not None
    ]
    metrics = [key for key in rows[0] if key != "class"]
    return {key: float(np.mean([row[key] for row in rows])) for key in metrics}, rows


def pictures(
    test: Source,
    found: Sequence[Detections],
    names: Sequence[str],
    output: str | os.PathLike[str] | None,
) -> list[dict[str, Any]]:
    """Records of the first images with what was found and what is annotated, for a report.

    Images that are files are named by their paths; others are written to `output`/pictures, or left
    out without it.

    Args:
        test: the images.
        found: what was found in each.
        names: of the classes.
        output: a folder, or None.
    """
    records = []
    for index, seen in enumerate(found[:_PICTURES]):
        path = _picture(test, index, output)
        if path is None:
            continue
        sure = seen.scores >= _SHOWN_SCORE
        truth = test.objects[index]
        boxes = boxes_of(
            seen.boxes[sure], seen.classes[sure], class_names=names, scores=seen.scores[sure]
        ) + boxes_of(truth.boxes, truth.classes, class_names=names, truth=True)
        records.append(detection_record(path, boxes, path.name))
    return records


def _picture(source: Source, index: int, output: str | os.PathLike[str] | None) -> Path | None:
    if source.paths:
        return Path(source.paths[index]).absolute()
    if output is None:
        return None
    path = Path(output).absolute() / "pictures" / f"{index:05d}.png"
    with atomic_path(path) as temporary:
        Image.fromarray(source.image(index)).save(temporary)
    return path
