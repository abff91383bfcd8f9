"""Average precision of boxes: VOC2007's, and COCO's through pycocotools."""

from __future__ import annotations

import contextlib
import importlib
import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from burn_tf._checks import UserError
from burn_tf.data import Objects
from burn_tf.detection import Detections
from burn_tf.evaluation.average_precision import eleven_point_average, precision_recall

_HIT, _MISS, _IGNORED = 1, 0, -1
_COCO_BOXES = 100
_MODULES = ("coco", "cocoeval")
_AP50, _AP75 = 0, 5  # of the thresholds 0.5, 0.55 .. 0.95


def box_overlaps(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Intersection over union, float64 [M, N], of boxes [M, 4] and [N, 4] (corners).

    Example:
        >>> import numpy as np
        >>> from burn_tf.evaluation.box_precision import box_overlaps
        >>> box_overlaps(np.array([[0, 0, 2, 2]]), np.array([[1, 0, 3, 2], [5, 5, 6, 6]])).round(3)
        array([[0.333, 0.   ]])
    """
    first, second = np.asarray(first, np.float64)[:, None], np.asarray(second, np.float64)[None]
    low = np.maximum(first[..., :2], second[..., :2])
    high = np.minimum(first[..., 2:], second[..., 2:])
    shared = np.prod(np.maximum(high - low, 0.0), axis=-1)
    areas = [np.prod(boxes[..., 2:] - boxes[..., :2], axis=-1) for boxes in (first, second)]
    return shared / np.maximum(areas[0] + areas[1] - shared, np.finfo(np.float64).tiny)


def voc07_precision(
    truths: Sequence[Objects],
    found: Sequence[Detections],
    num_classes: int,
    overlap: float = 0.5,
) -> list[float | None]:
    """Average precision of each class over 11 points, as VOC2007 scores detections.

    From the best score down, a detection belongs to the object of its class in its image that it
    overlaps most. It is right where they overlap enough and nothing better had the object, wrong
    otherwise; on a difficult object (or a crowd) it counts neither way.

    Args:
        truths: what is in each of N images.
        found: what was found in each of them.
        num_classes: C.
        overlap: intersection over union that is enough. Default 0.5.

    Returns:
        C values from 0 to 1; None for a class without an object that counts.

    Example:
        >>> import numpy as np
        >>> from burn_tf.data import Objects
        >>> from burn_tf.detection import Detections
        >>> from burn_tf.evaluation.box_precision import voc07_precision
        >>> box = np.array([[0, 0, 4, 4]])
        >>> seen = Detections(box, np.array([0.9]), np.array([1]))
        >>> voc07_precision([Objects.of(box, [1])], [seen], 2)
        [None, 1.0]

    Source: Everingham et al., The PASCAL Visual Object Classes (VOC) Challenge, IJCV 2010, sec.
        4.2 and 4.4, and the devkit's VOCevaldet.
    Departs from source: equal scores are one threshold.
    """
    return [_class_precision(truths, found, number, overlap) for number in range(num_classes)]


def _class_precision(
    truths: Sequence[Objects], found: Sequence[Detections], number: int, overlap: float
) -> float | None:
    positives = sum(int(((t.classes == number) & ~_uncounted(t)).sum()) for t in truths)
    if not positives:
        return None
    scores, targets = [np.zeros(0)], [np.zeros(0, int)]
    for truth, seen in zip(truths, found, strict=True):
        own = seen.classes == number
        order = np.argsort(-seen.scores[own], kind="stable")
        objects = truth.take(np.flatnonzero(truth.classes == number))
        scores.append(seen.scores[own][order])
        targets.append(_verdicts(seen.boxes[own][order], objects, overlap))
    _, hits, taken = precision_recall(np.concatenate(scores), np.concatenate(targets))
    return eleven_point_average(hits, taken, positives)


def _uncounted(objects: Objects) -> np.ndarray:
    return np.asarray(objects.difficult | objects.crowd)


def _verdicts(boxes: np.ndarray, objects: Objects, overlap: float) -> np.ndarray:
    """Of one image and class, best detection first: hit, miss or ignored."""
    verdicts = np.full(len(boxes), _MISS)
    if not len(objects):
        return verdicts
    overlaps, uncounted = box_overlaps(boxes, objects.boxes), _uncounted(objects)
    taken = np.zeros(len(objects), bool)
    for row, nearest in enumerate(overlaps.argmax(axis=1)):
        if overlaps[row, nearest] < overlap:
            continue
        if uncounted[nearest]:
            verdicts[row] = _IGNORED
        elif not taken[nearest]:
            verdicts[row], taken[nearest] = _HIT, True
    return verdicts


def check_pycocotools() -> None:
    """Refuses to go on where pycocotools cannot be imported.

    Raises:
        UserError: it is not installed.
    """
    try:
        importlib.import_module("pycocotools.cocoeval")
    except ImportError as error:
        raise UserError(
            f"AP of boxes needs pycocotools: pip install 'burn_tf[detection]'. Received: {error}"
        ) from error


def coco_precision(
    truths: Sequence[Objects], found: Sequence[Detections], num_classes: int
) -> list[dict[str, float] | None]:
    """COCO's average precision of each class, by pycocotools.

    Difficult objects are ignored like crowds, but with the plain overlap of their box: they are no
    miss, and a detection that fits one is no mistake.

    Args:
        truths: what is in each of N images.
        found: what was found in each of them; the 100 best of a class and image count.
        num_classes: C.

    Returns:
        C times `ap` (mean over the overlaps 0.5, 0.55 .. 0.95), `ap50` and `ap75`, each from 0 to
        1; None for a class without an object that counts.

    Raises:
        UserError: pycocotools is not installed.

    Source: COCO's evaluation, cocodataset.org, by its own code.
    Departs from source: difficult objects, which COCO does not have.
    """
    check_pycocotools()
    rows = _result_rows(found)
    if not len(rows):
        return [_nothing_found(truths, number) for number in range(num_classes)]
    with contextlib.redirect_stdout(io.StringIO()):
        precision = _precision(_dataset(truths, num_classes), rows)
    # [overlaps, recalls, classes]; -1 where there is nothing to find.
    return [_means(precision[:, :, number]) for number in range(num_classes)]


def _precision(dataset: dict[str, Any], rows: np.ndarray) -> np.ndarray:
    # An extra of its own: what is imported by name is no dependency of the package.
    coco, cocoeval = (importlib.import_module(f"pycocotools.{name}") for name in _MODULES)

    class Evaluation(cocoeval.COCOeval):  # type: ignore[name-defined]
        """COCO's, with the `ignore` of an annotation, which it overwrites by `iscrowd`."""

        def _prepare(self) -> None:
            super()._prepare()
            for objects in self._gts.values():
                for one in objects:
                    one["ignore"] = one["uncounted"]

    truth = coco.COCO()
    truth.dataset = dataset
    truth.createIndex()
    evaluation = Evaluation(truth, truth.loadRes(rows), "bbox")
    evaluation.params.maxDets = [_COCO_BOXES]
    evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, 1e10]], ["all"]
    evaluation.evaluate()
    evaluation.accumulate()
    return np.asarray(evaluation.eval["precision"][:, :, :, 0, 0])


def _dataset(truths: Sequence[Objects], num_classes: int) -> dict[str, Any]:
    """COCO's JSON. Annotations are numbered from 1: 0 means `no match` to its code."""
    marked: list[dict[str, Any]] = []
    for image, objects in enumerate(truths):
        uncounted = _uncounted(objects)
        for place, (left, top, right, bottom) in enumerate(objects.boxes.astype(float).tolist()):
            width, height = right - left, bottom - top
            marked.append(
                {
                    "id": len(marked) + 1,
                    "image_id": image,
                    "category_id": int(objects.classes[place]),
                    "bbox": [left, top, width, height],
                    "area": width * height,
                    "iscrowd": int(objects.crowd[place]),
                    "uncounted": int(uncounted[place]),
                }
            )
    return {
        "images": [{"id": image} for image in range(len(truths))],
        "categories": [{"id": number} for number in range(num_classes)],
        "annotations": marked,
    }


def _result_rows(found: Sequence[Detections]) -> np.ndarray:
    """float64 [K, 7]: image, left, top, width, height, score, class."""
    rows = [np.zeros((0, 7))]
    for image, seen in enumerate(found):
        corners = np.asarray(seen.boxes, np.float64).reshape(-1, 4)
        sizes = corners[:, 2:] - corners[:, :2]
        facts = [np.full(len(seen), image), seen.scores, seen.classes]
        rows.append(np.column_stack([facts[0], corners[:, :2], sizes, facts[1], facts[2]]))
    return np.concatenate(rows)


def _means(precision: np.ndarray) -> dict[str, float] | None:
    if (precision < 0).all():
        return None
    parts = {"ap": precision, "ap50": precision[_AP50], "ap75": precision[_AP75]}
    return {name: float(values.mean()) for name, values in parts.items()}


def _nothing_found(truths: Sequence[Objects], number: int) -> dict[str, float] | None:
    """Without a single detection pycocotools raises an error."""
    counts = any(((t.classes == number) & ~_uncounted(t)).any() for t in truths)
    return dict.fromkeys(("ap", "ap50", "ap75"), 0.0) if counts else None
