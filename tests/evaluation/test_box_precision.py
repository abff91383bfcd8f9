"""Average precision of boxes against answers by hand and a slow, separate computation."""

from __future__ import annotations

import builtins
import importlib

import numpy as np
import pytest

from burn_tf._checks import UserError
from burn_tf.data import Objects
from burn_tf.detection import Detections
from burn_tf.evaluation.box_precision import (
    box_overlaps,
    check_pycocotools,
    coco_precision,
    voc07_precision,
)


def seen(boxes, scores, classes) -> Detections:
    return Detections(
        np.asarray(boxes, np.float32).reshape(-1, 4),
        np.asarray(scores, np.float32),
        np.asarray(classes, np.int64),
    )


NOTHING = seen([], [], [])
BOX, FAR = [0, 0, 10, 10], [40, 40, 50, 50]


def test_overlaps_by_hand():
    boxes = [[0, 0, 10, 10], [5, 0, 15, 10], [0, 0, 5, 5], [20, 20, 30, 30]]
    wanted = [[1, 1 / 3, 0.25, 0], [1 / 3, 1, 0, 0]]
    np.testing.assert_allclose(box_overlaps(np.array(boxes[:2]), np.array(boxes)), wanted)


def test_voc07_by_hand():
    """Hit, miss, hit among three objects: recall 1/3 at precision 1, 2/3 at 2/3, 1 never."""
    truths = [Objects.of([BOX, FAR], [0, 0]), Objects.of([BOX], [0]), Objects.of([], [])]
    found = [seen([BOX], [0.9], [0]), seen([BOX], [0.7], [0]), seen([FAR], [0.8], [0])]
    # Recalls 0 to 0.3: precision 1; 0.4 to 0.6: 2/3; above: 0.
    assert voc07_precision(truths, found, 2) == [pytest.approx((4 + 3 * 2 / 3) / 11), None]


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        (seen([BOX, BOX], [0.9, 0.8], [0, 0]), 1.0),
        (seen([BOX, BOX], [0.8, 0.9], [0, 1]), 1.0),
        # The second box on an object is a mistake, here before the hit of the other object.
        (seen([BOX, BOX, FAR], [0.9, 0.8, 0.7], [0, 0, 1]), 1.0),
        (seen([[0, 0, 10, 4.9]], [0.9], [0]), 0.0),
        (seen([[0, 0, 10, 5.0]], [0.9], [0]), 1.0),
        (NOTHING, 0.0),
    ],
)
def test_voc07_of_one_object(found, wanted):
    assert voc07_precision([Objects.of([BOX], [0])], [found], 1) == [wanted]


def test_voc07_a_second_box_on_an_object_is_a_mistake():
    found = [seen([BOX, BOX, FAR], [0.9, 0.8, 0.7], [0, 0, 0])]
    (value,) = voc07_precision([Objects.of([BOX, FAR], [0, 0])], found, 1)
    # Recalls 0 to 0.5 at precision 1, the other five at 2/3.
    assert value == pytest.approx((6 + 5 * 2 / 3) / 11)


def test_difficult_objects_are_neither_asked_for_nor_counted():
    truths = [Objects.of([BOX, FAR], [0, 0], difficult=[True, False])]
    found = [seen([BOX, BOX, FAR], [0.9, 0.8, 0.7], [0, 0, 0])]
    assert voc07_precision(truths, found, 1) == [1.0]
    assert voc07_precision([Objects.of([BOX], [0], difficult=[True])], found, 1) == [None]


def test_coco_by_hand():
    pytest.importorskip("pycocotools")
    truths = [Objects.of([BOX, FAR], [0, 1]), Objects.of([], []), Objects.of([BOX], [2])]
    # Overlaps 1, 0.62 and none at all; nothing of class 3 is there.
    found = [seen([BOX, [40, 40, 50, 46.2]], [0.9, 0.8], [0, 1]), NOTHING, NOTHING]
    perfect, rough, missed, absent = coco_precision(truths, found, 4)
    assert perfect == pytest.approx({"ap": 1.0, "ap50": 1.0, "ap75": 1.0})
    # The thresholds 0.5, 0.55 and 0.6 of ten.
    assert rough == pytest.approx({"ap": 0.3, "ap50": 1.0, "ap75": 0.0})
    assert missed == {"ap": 0.0, "ap50": 0.0, "ap75": 0.0} and absent is None
    # Not a single detection anywhere.
    assert coco_precision(truths, [NOTHING] * 3, 4) == [missed, missed, missed, None]


def test_coco_difficult_objects_are_ignored_and_crowds_take_any_number():
    pytest.importorskip("pycocotools")
    difficult = [Objects.of([BOX, FAR], [0, 0], difficult=[True, False])]
    found = [seen([BOX, FAR], [0.9, 0.8], [0, 0])]
    assert coco_precision(difficult, found, 1)[0]["ap"] == pytest.approx(1.0)
    # Unlike a crowd, it takes only what fits it.
    inside = [seen([[0, 0, 10, 4], FAR], [0.9, 0.8], [0, 0])]
    assert coco_precision(difficult, inside, 1)[0]["ap50"] == pytest.approx(0.5)
    crowd = [Objects.of([BOX, FAR], [0, 0], crowd=[True, False])]
    several = [seen([[0, 0, 10, 4], [0, 4, 10, 9], FAR], [0.9, 0.85, 0.8], [0, 0, 0])]
    assert coco_precision(crowd, several, 1)[0]["ap50"] == pytest.approx(1.0)


def _slow_ap50(truths, found, number):
    """101 points over a list of verdicts, with loops: COCO's rule for one overlap."""
    rows, positives = [], 0
    for image, (truth, own) in enumerate(zip(truths, found, strict=True)):
        positives += int((truth.classes == number).sum())
        free = {i for i in range(len(truth)) if truth.classes[i] == number}
        for k in sorted(range(len(own)), key=lambda k: -own.scores[k]):
            if own.classes[k] != number:
                continue
            overlaps = {i: box_overlaps(own.boxes[[k]], truth.boxes[[i]])[0, 0] for i in free}
            best = max(overlaps, key=lambda i: overlaps[i], default=None)
            hit = best is not None and overlaps[best] >= 0.5
            free -= {best} if hit else set()
            rows.append((-own.scores[k], image, hit))
    hits = np.cumsum([hit for _, _, hit in sorted(rows, key=lambda row: row[:2])])
    precision = hits / np.arange(1, len(hits) + 1)
    wanted = np.linspace(0, 1, 101)
    return np.mean([precision[hits / positives >= r].max(initial=0) for r in wanted])


def test_coco_against_loops():
    pytest.importorskip("pycocotools")
    rng = np.random.default_rng(4)
    truths, found = [], []
    for _ in range(30):
        corners = rng.uniform(0, 40, (3, 2))
        boxes = np.concatenate([corners, corners + rng.uniform(8, 30, (3, 2))], axis=1)
        classes = rng.integers(0, 2, 3)
        truths.append(Objects.of(boxes, classes))
        moved = boxes + rng.normal(0, 3, boxes.shape)
        kept = rng.random(3) < 0.8
        wrong = np.where(rng.random(3) < 0.2, 1 - classes, classes)
        found.append(seen(moved[kept], rng.random(3)[kept], wrong[kept]))
    for number, one in enumerate(coco_precision(truths, found, 2)):
        assert one["ap50"] == pytest.approx(_slow_ap50(truths, found, number), abs=1e-9)
        assert 0.2 < one["ap50"] < 0.8, "neither trivial"


def test_without_pycocotools_one_line_says_what_to_install(monkeypatch):
    def absent(name, *rest):
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(UserError, match=r"pip install 'burn_tf\[detection\]'.*Received: No module"):
        check_pycocotools()
    assert builtins.__import__ is not absent
