"""Instance segmentation: Mask R-CNN on the backbone, trained as a whole and scored as COCO does."""

from __future__ import annotations

import importlib.metadata
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from burn_tf._checks import UserError, check_integer, check_range
from burn_tf.data import Source
from burn_tf.detection import Detections, check_boxes, mask_rcnn
from burn_tf.detection.canvas import Placement, canvas_batches, place
from burn_tf.detection.masks import coco_module, encode_mask, outline_mask, paste_mask
from burn_tf.detection.region_settings import RegionSettings
from burn_tf.evaluation.detect import class_names, detection_metrics, pictures
from burn_tf.evaluation.features import EvaluationData
from burn_tf.evaluation.mask_precision import Segments, mask_precision
from burn_tf.evaluation.results import Result
from burn_tf.evaluation.sgd import SteppedSGD
from burn_tf.evaluation.splits import run_provenance

WEIGHTS_FILE = "mask_rcnn.safetensors"
# Batch for which the papers give their rate; it is proportional to the batch.
_RATED_BATCH = 16
_LIBRARIES = ("tf-models-official", "pycocotools")


class InstanceSegmentation:
    """Mask R-CNN, or Faster R-CNN, on a backbone: trained on `train`, scored on `test`.

    SGD as Mask R-CNN's "1x" schedule has it: the rate rises in a line over the first
    `warmup_updates` and falls to a tenth when an epoch of `decay_epochs` begins. Images are shown
    flipped and scaled by 0.8 to 1.25, at random; their longer side is `data.image_size` pixels.

    Args:
        name: Protocol identifier written into the result.
        masks: True (default): Mask R-CNN, masks are scored; False: Faster R-CNN, boxes are.
        epochs: Passes over the train split, at least 1. Default 12.
        learning_rate: For a batch of 16; another batch has its share of it. Default 0.02.
        decay_epochs: Epochs (from 0) that start with a tenth of the rate. Default 8, 11.
        warmup_updates: At least 0. Default 500.
        momentum: Inside [0, 1). Default 0.9.
        weight_decay: At least 0, of kernels. Default 1e-4.
        batch_size: Images per update, at least 1. Default 16.
        sizes: Arguments of `RegionSettings` that are not its defaults.
        seed: Of the start values, the order and the views.

    Raises:
        UserError: an argument is outside its range. In `check` and `run`: tf-models-official or
            pycocotools is missing (requirements/segmentation.txt), the source has no boxes (with
            masks: no outlines), a split has no object, or the splits differ in their classes; in
            `run` a loss that is not finite any more.

    Example:
        >>> from burn_tf.evaluation import InstanceSegmentation
        >>> round(InstanceSegmentation(batch_size=8).rate(0, 499), 3)
        0.01

    Source: He et al., Mask R-CNN, ICCV 2017, arXiv 1703.06870, section 3.1; the schedule with
        which He et al. (MoCo, CVPR 2020, arXiv 1911.05722) compare pretrained networks.
    Departs from source: the rate falls between epochs and not at updates; one scale of images; see
        `MaskRCNN` for the network.
    """

    def __init__(
        self,
        name: str = "segment:coco",
        masks: bool = True,
        epochs: int = 12,
        learning_rate: float = 0.02,
        decay_epochs: tuple[int, ...] = (8, 11),
        warmup_updates: int = 500,
        momentum: float = 0.9,
        weight_decay: float = 1e-4,
        batch_size: int = _RATED_BATCH,
        sizes: dict[str, Any] | None = None,
        seed: int = 0,
    ) -> None:
        self.name = name
        self.masks = masks
        self.learning_rate = check_range("learning_rate", learning_rate, low=0, low_open=True)
        self.warmup_updates = check_integer("warmup_updates", warmup_updates, low=0)
        self.sizes = dict(sizes or {})
        self.sgd = SteppedSGD(epochs, decay_epochs, 0.1, momentum, weight_decay, batch_size, seed)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        sgd = {k: v for k, v in self.sgd.get_config().items() if k != "decay_factor"}
        return {
            "name": self.name,
            "masks": self.masks,
            "learning_rate": self.learning_rate,
            "warmup_updates": self.warmup_updates,
            "sizes": dict(self.sizes),
            **sgd,
        }

    def rate(self, epoch: int, update: int) -> float:
        """Learning rate of an update, both counted from 0."""
        share = min(1.0, (update + 1) / max(1, self.warmup_updates))
        own = self.learning_rate * self.sgd.batch_size / _RATED_BATCH
        return self.sgd.decayed(own * share, epoch)

    def check(self, data: EvaluationData) -> None:
        """Refuse what `run` cannot use, before any work.

        Raises:
            UserError: see the class.
        """
        for side, source in (("train", data.train), ("test", data.test)):
            self._check_objects(side, source)
        if data.train.class_names != data.test.class_names:
            counts = [len(side.class_names or ()) for side in (data.train, data.test)]
            raise UserError(
                "`train` and `test` must have the same classes. "
                f"Received: {counts[0]} class names in train and {counts[1]} others in test"
            )
        mask_rcnn.require_models()
        coco_module("cocoeval")

    def _check_objects(self, side: str, source: Source) -> None:
        check_boxes(source)
        if not any((~(found.difficult | found.crowd)).any() for found in source.objects):
            raise UserError(
                f"`{side}` must have an object that is neither difficult nor a crowd. "
                f"Received: {source.name!r} with none"
            )
        if self.masks and any(len(one.segmentations) < len(one) for one in source.objects):
            raise UserError(
                f"`{self.name}` needs outlines of all objects, as coco:FOLDER has them; for boxes "
                f"alone take 'detect:voc'. Received: {source.name!r} ({source.split}) without them"
            )

    def run(self, backbone: tf.keras.Model, data: EvaluationData) -> Result:
        """Train, detect in every image of the test split, and score.

        Args:
            backbone: one of this library's; its weights are read, not changed.
            data: the splits; `image_size` is the longer side. Where `output` is given, the weights
                and pictures of the first test images are written there.

        Returns:
            With masks `ap`, `ap50` and `ap75` of the masks and `box_ap`, `box_ap50`, `box_ap75`;
            without them the figures of `detect:voc`. All in percent, means over the classes that
            the test split has, which `provenance["classes"]` has one by one.
        """
        self.check(data)
        if self.masks:
            _check_run_lengths(data.test)
        names = class_names(data)
        # The heads of tf-models-official take their start values from the global seed.
        tf.keras.utils.set_random_seed(self.sgd.seed)
        settings = RegionSettings(masks=self.masks, **self.sizes)
        network = mask_rcnn.MaskRCNN(backbone, len(names), data.image_size, settings)
        losses = self._train(network, data)
        found = self._find(network, data)
        if data.output is not None:
            network.save_weights(Path(data.output) / WEIGHTS_FILE)
        metrics, rows = self._figures(data.test, found, names)
        facts = self._facts(backbone, data, losses, rows)
        boxes = [one.detections for one in found]
        facts["detections"] = pictures(data.test, boxes, names, data.output)
        return Result(self.name, metrics, facts)

    def _train(self, network: mask_rcnn.MaskRCNN, data: EvaluationData) -> list[dict[str, float]]:
        """The mean of each loss, an entry per epoch."""
        history: list[dict[str, float]] = []
        update = 0
        for epoch in range(self.sgd.epochs):
            steps: list[dict[str, float]] = []
            for batch in canvas_batches(
                data.train,
                epoch,
                image_size=data.image_size,
                side=network.side,
                batch_size=self.sgd.batch_size,
                max_objects=network.settings.max_objects,
                masks=self.masks,
                seed=self.sgd.seed,
                antialias=data.antialias,
            ):
                rate = self.rate(epoch, update)
                steps.append(
                    network.train_step(batch, rate, self.sgd.momentum, self.sgd.weight_decay)
                )
                self._check_finite(steps[-1], update)
                update += 1
            history.append({name: float(np.mean([s[name] for s in steps])) for name in steps[0]})
            text = f"epoch {epoch + 1} of {self.sgd.epochs}: loss {history[-1]['total_loss']:.4f}"
            print(f"{self.name}: {text}", file=sys.stderr, flush=True)
        return history

    def _check_finite(self, losses: dict[str, float], update: int) -> None:
        bad = [name for name, value in losses.items() if not math.isfinite(value)]
        if bad:
            raise UserError(
                f"`{self.name}` diverged: give a lower `learning_rate`. "
                f"Received: {self.learning_rate:g}, {bad[0]} not finite at update {update}"
            )

    def _find(self, network: mask_rcnn.MaskRCNN, data: EvaluationData) -> list[Segments]:
        """Detections of every test image, in its own pixels."""
        found: list[Segments] = []
        numbers = range(data.test.num_images)
        for start in numbers[:: self.sgd.batch_size]:
            pixels = [data.test.image(i) for i in numbers[start : start + self.sgd.batch_size]]
            sizes = [(one.shape[0], one.shape[1]) for one in pixels]
            places = [place(size, data.image_size, network.side) for size in sizes]
            images = [
                where.draw(one, data.antialias) for where, one in zip(places, pixels, strict=True)
            ]
            outputs = network.detect(np.stack(images), np.stack([p.shown for p in places]))
            found += [
                _segments({name: values[i] for name, values in outputs.items()}, where)
                for i, where in enumerate(places)
            ]
        return found

    def _figures(
        self, test: Source, found: Sequence[Segments], names: Sequence[str]
    ) -> tuple[dict[str, float], list[dict[str, Any]]]:
        """Means over the classes with an object, and a row per such class, in percent."""
        means, rows = detection_metrics(test, [one.detections for one in found], names)
        if not self.masks:
            return means, rows
        scored = zip(names, mask_precision(test.objects, found, len(names)), strict=True)
        masks = {name: one for name, one in scored if one is not None}
        merged = [
            {"class": row["class"]}
            | {key: 100.0 * value for key, value in masks[row["class"]].items()}
            | {f"box_{key}": row[key] for key in ("ap", "ap50", "ap75")}
            for row in rows
        ]
        keys = [key for key in merged[0] if key != "class"]
        return {key: float(np.mean([row[key] for row in merged])) for key in keys}, merged

    def _facts(
        self,
        backbone: tf.keras.Model,
        data: EvaluationData,
        losses: list[dict[str, float]],
        rows: list[dict[str, Any]],
    ) -> dict[str, Any]:
        facts = run_provenance(backbone, data, self.get_config())
        resize = f"long side to {data.image_size} px, placed on a square, boxes scaled along"
        facts["data"] = facts["data"] | {"resize": resize}
        facts["versions"] = facts["versions"] | {name: _version(name) for name in _LIBRARIES}
        repairs = {"train": data.train.repairs, "test": data.test.repairs}
        return facts | {"classes": rows, "box_repairs": repairs, "losses_by_epoch": losses}


def _check_run_lengths(source: Source) -> None:
    """Refuse those of another image's size now, and not when the training is over."""
    for index, objects in enumerate(source.objects):
        runs = [outline for outline in objects.segmentations if not isinstance(outline, list)]
        if runs:
            height, width = source.image(index).shape[:2]
            for outline in runs:
                outline_mask(outline, height, width)


def _segments(outputs: dict[str, np.ndarray], where: Placement) -> Segments:
    """What a network says of one canvas, in pixels of the image; empty boxes left out."""
    count = int(outputs["counts"])
    boxes = where.to_image(outputs["boxes"][:count])
    use = np.flatnonzero((boxes[:, 2:] > boxes[:, :2]).all(axis=1))
    masks = outputs["masks"][use] if "masks" in outputs else ()
    outlines = tuple(
        encode_mask(paste_mask(mask, box, *where.size))
        for mask, box in zip(masks, boxes[use], strict=False)
    )
    detections = Detections(boxes[use], outputs["scores"][use], outputs["classes"][use])
    return Segments(detections, outlines, where.size)


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
