"""A trained RetinaNet with all that it needs to look at pictures; saved as one packed file."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from burn_tf._checks import UserError, check_integer
from burn_tf.convert import load_packed, packed_metadata, save_packed
from burn_tf.convert.safetensors import SUFFIX
from burn_tf.data import Source
from burn_tf.detection.batches import scoring_batches
from burn_tf.detection.letterbox import fitting_scale, letterbox
from burn_tf.detection.pyramid import BACKBONE_LEVELS
from burn_tf.detection.raw_outputs import LARGEST_DELTA, raw_outputs
from burn_tf.detection.retinanet import anchor_size_of, assembled, retinanet

_KIND = "burn_tf.detector"
_PARTS = ("feature_pyramid", "classification_head", "box_head")


@dataclasses.dataclass(frozen=True, eq=False)
class Detections:
    """What was found in one image, best first; K may be 0.

    Args:
        boxes: float32 [K, 4], left, top, right, bottom in pixels of the image.
        scores: float32 [K], 0 to 1.
        classes: int64 [K].
    """

    boxes: np.ndarray
    scores: np.ndarray
    classes: np.ndarray

    def __len__(self) -> int:
        return len(self.classes)


class Detector:
    """A RetinaNet, the size of its images and the names of its classes.

    Args:
        model: as `retinanet` makes it.
        class_names: one per class.
        anchor_size: as given to `retinanet`; None for its default.

    Raises:
        UserError: another number of names than the model has classes.

    Example:
        >>> import numpy as np
        >>> from burn_tf.backbones import ReActNetTiny
        >>> from burn_tf.detection import Detector
        >>> detector = Detector.of(ReActNetTiny(stem_strides=2), ("cat", "dog"), 64, width=16)
        >>> found = detector.detect([np.zeros([30, 50, 3], np.uint8)])
        >>> len(found), found[0].boxes.shape[1]
        (1, 4)

    Source: RetinaNet, arXiv 1708.02002, as in KerasCV.
    Departs from source: see `retinanet`.
    """

    def __init__(
        self, model: Any, class_names: Sequence[str], anchor_size: float | None = None
    ) -> None:
        if len(class_names) != model.num_classes:
            raise UserError(
                f"`class_names` must be {model.num_classes} names. Received: {len(class_names)}"
            )
        self.model = model
        self.class_names = tuple(class_names)
        self.image_size = int(model.inputs[0].shape[1])
        self.anchor_size = anchor_size_of(self.image_size) if anchor_size is None else anchor_size
        # The same layers without KerasCV's class around them: what is trained and saved.
        self.network = tf.keras.Model(model.inputs, model.output, name=_KIND.replace(".", "_"))

    @classmethod
    def of(
        cls,
        backbone: tf.keras.Model,
        class_names: Sequence[str],
        image_size: int,
        *,
        width: int = 256,
        depth: int = 4,
        anchor_size: float | None = None,
        seed: int = 0,
    ) -> Detector:
        """An untrained detector on a copy of `backbone`; the arguments are `retinanet`'s."""
        model = retinanet(
            backbone,
            len(class_names),
            image_size,
            width=width,
            depth=depth,
            anchor_size=anchor_size,
            seed=seed,
        )
        return cls(model, class_names, anchor_size)

    def detect(self, images: Sequence[np.ndarray]) -> list[Detections]:
        """Objects in pictures, all in one batch.

        Args:
            images: uint8 [H, W, 3] each, RGB, of any sizes.

        Raises:
            UserError: another shape or dtype.
        """
        for image in images:
            if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
                raise UserError(
                    "`images` must be uint8 [H, W, 3], not empty. "
                    f"Received: {image.dtype} {list(image.shape)}"
                )
        if not images:
            return []
        sizes = np.array([image.shape[:2] for image in images], np.int32)
        scales = fitting_scale(tf.constant(sizes), self.image_size)
        placed = [
            letterbox(tf.constant(image), self.image_size, scale, tf.zeros([2]))
            for image, scale in zip(images, scales, strict=True)
        ]
        return self._found(tf.stack(placed), sizes)

    def detect_source(
        self, source: Source, *, batch_size: int = 16, antialias: bool = True
    ) -> list[Detections]:
        """Objects in every image of a source, in its order.

        Args:
            source: the images.
            batch_size: at least 1; changes the speed and not the result.
            antialias: Pillow's filter when shrinking; False: plain bilinear.
        """
        check_integer("batch_size", batch_size, low=1)
        batches = scoring_batches(
            source, image_size=self.image_size, batch_size=batch_size, antialias=antialias
        )
        return [
            found for images, sizes in batches for found in self._found(images, np.asarray(sizes))
        ]

    def _found(self, images: tf.Tensor, sizes: np.ndarray) -> list[Detections]:
        decoded = {name: np.asarray(value) for name, value in self._decoded(images).items()}
        scales = np.asarray(fitting_scale(tf.constant(sizes), self.image_size))
        return [
            _detections({name: value[i] for name, value in decoded.items()}, sizes[i], scales[i])
            for i in range(len(sizes))
        ]

    @tf.function(reduce_retracing=True)
    def _decoded(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        outputs = dict(self.network(images, training=False))
        centre, extent = tf.split(outputs["box"], 2, axis=-1)
        outputs["box"] = tf.concat([centre, tf.minimum(extent, LARGEST_DELTA)], axis=-1)
        return dict(self.model.decode_predictions(outputs, images))

    def exported_model(self) -> tf.keras.Model:
        """What goes into a file for phones; `burn_tf.export` takes the detector itself.

        Returns:
            See `raw_outputs`; it uses the detector's layers.
        """
        return raw_outputs(self.network, self.image_size, self.anchor_size)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything to one packed file, whole or not at all: one bit per binary weight.

        Args:
            path: ending in ".safetensors".

        Raises:
            UserError: as `burn_tf.convert.save_packed`.
        """
        facts = {
            "class_names": list(self.class_names),
            "anchor_size": self.anchor_size,
            "backbone": self.model.feature_extractor.name,
        }
        save_packed(self.network, path, metadata={"kind": _KIND, "detector": json.dumps(facts)})

    @staticmethod
    def is_file(path: str | os.PathLike[str]) -> bool:
        """Whether there is a packed file that says it is a detector's.

        Raises:
            UserError: as `burn_tf.convert.packed_metadata`, for a file that ends in ".safetensors".
        """
        name = os.fspath(path)
        if not name.endswith(SUFFIX) or not os.path.isfile(name):
            return False
        return packed_metadata(name).get("kind") == _KIND

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Detector:
        """The detector in a file of `save`; nothing in the file is executed.

        Raises:
            UserError: as `burn_tf.convert.load_packed`, or a packed file of something else.
        """
        texts = packed_metadata(path)
        if texts.get("kind") != _KIND:
            raise UserError(
                f"`path` must be a file written by Detector.save. Received: {os.fspath(path)!r}"
            )
        facts = json.loads(texts["detector"])
        network = load_packed(path)
        parts = {name: network.get_layer(name) for name in _PARTS}
        parts["backbone"] = _with_levels(network.get_layer(facts["backbone"]))
        model = assembled(parts, len(facts["class_names"]), facts["anchor_size"])
        return cls(model, facts["class_names"], facts["anchor_size"])


def _with_levels(backbone: tf.keras.Model) -> tf.keras.Model:
    """A loaded backbone with the names of its levels, which are those of its outputs' layers."""
    ends = dict(zip(sorted(backbone.output), backbone.output_names, strict=True))
    backbone.pyramid_level_inputs = {level: ends[level] for level in BACKBONE_LEVELS}
    return backbone


def _detections(decoded: dict[str, np.ndarray], size: np.ndarray, scale: float) -> Detections:
    """One image's detections in its own pixels; what lies wholly outside it is left out."""
    count = int(decoded["num_detections"])
    height, width = (float(side) for side in size)
    boxes = decoded["boxes"][:count] / scale
    boxes = np.clip(boxes, 0.0, np.array([width, height, width, height], np.float32))
    there = np.flatnonzero((boxes[:, 2:] > boxes[:, :2]).all(axis=1))
    return Detections(
        boxes[there].astype(np.float32),
        decoded["confidence"][:count][there].astype(np.float32),
        decoded["classes"][:count][there].astype(np.int64),
    )
