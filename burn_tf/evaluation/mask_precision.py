"""Average precision of masks as COCO defines it, by COCO's own code."""

from __future__ import annotations

import contextlib
import dataclasses
import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from burn_tf._checks import UserError
from burn_tf.data import Objects
from burn_tf.detection import Detections
from burn_tf.detection.masks import coco_module, encode_mask, outline_mask

_COCO_MASKS = 100
_AP50, _AP75 = 0, 5  # of the overlaps 0.5, 0.55 .. 0.95


@dataclasses.dataclass(frozen=True, eq=False)
class Segments:
    """What was found in one image, with its outlines.

    Args:
        detections: boxes, scores and classes of K objects.
        outlines: K compressed run lengths, as `encode_mask` makes them.
        size: height and width of the image in pixels.
    """

    detections: Detections
    outlines: tuple[dict[str, Any], ...]
    size: tuple[int, int]


def mask_precision(
    truths: Sequence[Objects], found: Sequence[Segments], num_classes: int
) -> list[dict[str, float] | None]:
    """COCO's average precision of each class, of masks.

    Crowds and difficult objects are neither asked for nor counted.

    Args:
        truths: what is in each of N images, with outlines.
        found: what was found in each of them; the 100 best of a class and image count.
        num_classes: C.

    Returns:
        C times `ap` (mean over the overlaps 0.5, 0.55 .. 0.95), `ap50` and `ap75`, each from 0 to
        1; None for a class without an object that counts.

    Raises:
        UserError: other numbers of images, an outline that does not fit its image, or pycocotools
            is not installed.

    Example:
        >>> import numpy as np
        >>> from burn_tf.data import Objects
        >>> from burn_tf.detection import Detections
        >>> from burn_tf.detection.masks import encode_mask
        >>> from burn_tf.evaluation.mask_precision import Segments, mask_precision
        >>> box = [[1, 1, 3, 3]]
        >>> truth = Objects.of(box, [0], segmentations=[[[1, 1, 3, 1, 3, 3, 1, 3]]])
        >>> mask = np.zeros((4, 4))
        >>> mask[1:3, 1:3] = 1
        >>> seen = Detections(np.array(box), np.array([0.9]), np.array([0]))
        >>> found = [Segments(seen, (encode_mask(mask),), (4, 4))]
        >>> round(mask_precision([truth], found, 1)[0]["ap"], 6)
        1.0

    Source: COCO's evaluation, cocodataset.org, by its own code.
    Departs from source: difficult objects, which COCO does not have, are crowds. All sizes of
        objects are one.
    """
    if len(truths) != len(found):
        raise UserError(
            f"`found` must have an entry per image. Received: {len(found)} for {len(truths)}"
        )
    marked, rows = _marked(truths, found), _rows(found)
    if not rows:  # COCO's code stops at an empty list
        asked = {entry["category_id"] for entry in marked if not entry["iscrowd"]}
        nothing = dict.fromkeys(("ap", "ap50", "ap75"), 0.0)
        return [dict(nothing) if number in asked else None for number in range(num_classes)]
    images = [{"id": n, "height": s.size[0], "width": s.size[1]} for n, s in enumerate(found)]
    categories = [{"id": number} for number in range(num_classes)]
    table = {"images": images, "categories": categories, "annotations": marked}
    # COCO's code says what it does on standard output.
    with contextlib.redirect_stdout(io.StringIO()):
        precision = _precision(table, rows)
    return [_means(precision[:, :, number]) for number in range(num_classes)]


def _precision(table: dict[str, Any], rows: list[dict[str, Any]]) -> np.ndarray:
    """[overlaps, recalls, classes]; -1 where there is nothing to find."""
    truth = coco_module("coco").COCO()
    truth.dataset = table
    truth.createIndex()
    scorer = coco_module("cocoeval").COCOeval(truth, truth.loadRes(rows), "segm")
    scorer.params.maxDets = [_COCO_MASKS]
    scorer.params.areaRng, scorer.params.areaRngLbl = [[0, 1e10]], ["all"]
    scorer.evaluate()
    scorer.accumulate()
    return np.asarray(scorer.eval["precision"][:, :, :, 0, 0])


def _marked(truths: Sequence[Objects], found: Sequence[Segments]) -> list[dict[str, Any]]:
    """Annotations, numbered from 1: 0 means `no match` to COCO's code."""
    entries: list[dict[str, Any]] = []
    for image, (objects, seen) in enumerate(zip(truths, found, strict=True)):
        for place, outline in enumerate(objects.segmentations):
            mask = outline_mask(outline, *seen.size)
            entries.append(
                {
                    "id": len(entries) + 1,
                    "image_id": image,
                    "category_id": int(objects.classes[place]),
                    "area": float(mask.sum()),
                    "iscrowd": int(objects.crowd[place] or objects.difficult[place]),
                    "segmentation": encode_mask(mask),
                }
            )
    return entries


def _rows(found: Sequence[Segments]) -> list[dict[str, Any]]:
    return [
        {
            "image_id": image,
            "category_id": int(seen.detections.classes[place]),
            "score": float(seen.detections.scores[place]),
            "segmentation": outline,
        }
        for image, seen in enumerate(found)
        for place, outline in enumerate(seen.outlines)
    ]


def _means(precision: np.ndarray) -> dict[str, float] | None:
    if (precision < 0).all():
        return None
    parts = {"ap": precision, "ap50": precision[_AP50], "ap75": precision[_AP75]}
    return {name: float(values.mean()) for name, values in parts.items()}
