"""COCO's average precision of masks, on cases that can be counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from burn_tf._checks import UserError
from burn_tf.data import Objects
from burn_tf.detection import Detections
from burn_tf.detection.masks import encode_mask
from burn_tf.evaluation.mask_precision import Segments, mask_precision

pytest.importorskip("pycocotools")
SIDE = 20


def square(left, top, width, height):
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[top : top + height, left : left + width] = 1
    return mask


def truth(masks, classes, crowd=None, difficult=None):
    boxes = [[0, 0, SIDE, SIDE]] * len(classes)  # of no effect
    outlines = [encode_mask(mask) for mask in masks]
    return Objects.of(boxes, classes, difficult=difficult, crowd=crowd, segmentations=outlines)


def seen(masks, classes, scores):
    boxes = np.zeros((len(classes), 4), np.float32)
    found = Detections(boxes, np.array(scores, np.float32), np.array(classes, np.int64))
    return Segments(found, tuple(map(encode_mask, masks)), (SIDE, SIDE))


def everything(value):
    # COCO's code adds an epsilon to every denominator.
    return pytest.approx(dict.fromkeys(("ap", "ap50", "ap75"), value), abs=1e-9)


def test_right_masks_are_all_right_and_no_detection_is_nothing():
    truths = [truth([square(1, 1, 6, 6)], [0]), truth([], []), truth([square(9, 9, 4, 4)], [2])]
    right = [
        seen([square(1, 1, 6, 6)], [0], [0.9]),
        seen([], [], []),
        seen([square(9, 9, 4, 4)], [2], [0.3]),
    ]
    assert mask_precision(truths, right, 3) == [everything(1.0), None, everything(1.0)]
    nothing = [seen([], [], [])] * 3
    assert mask_precision(truths, nothing, 3) == [everything(0.0), None, everything(0.0)]


def test_overlap_is_of_masks_and_decides_which_thresholds_count():
    # 8 x 10 inside 10 x 10: an overlap of 0.8 is enough for 0.5, 0.55 .. 0.8, seven of ten.
    found = mask_precision(
        [truth([square(0, 0, 10, 10)], [0])], [seen([square(0, 0, 8, 10)], [0], [0.5])], 1
    )[0]
    assert found == pytest.approx({"ap": 0.7, "ap50": 1.0, "ap75": 1.0})
    low = mask_precision(
        [truth([square(0, 0, 10, 10)], [0])], [seen([square(0, 0, 6, 10)], [0], [0.5])], 1
    )[0]
    assert low == pytest.approx({"ap": 0.3, "ap50": 1.0, "ap75": 0.0})


def test_a_better_scored_mistake_halves_the_precision():
    truths = [truth([square(0, 0, 6, 6)], [0])]
    masks = [square(12, 12, 6, 6), square(0, 0, 6, 6)]
    assert mask_precision(truths, [seen(masks, [0, 0], [0.9, 0.8])], 1) == [everything(0.5)]
    assert mask_precision(truths, [seen(masks, [0, 0], [0.7, 0.8])], 1) == [everything(1.0)]


@pytest.mark.parametrize("kind", ["crowd", "difficult"])
def test_crowds_and_difficult_objects_count_neither_way(kind):
    masks = [square(0, 0, 6, 6), square(10, 10, 8, 8)]
    truths = [truth(masks, [0, 0], **{kind: [False, True]})]
    both = [seen(masks[::-1], [0, 0], [0.9, 0.8])]
    assert mask_precision(truths, both, 1) == [everything(1.0)]
    alone = [truth(masks[1:], [0], **{kind: [True]})]
    assert mask_precision(alone, both, 1) == [None]
    assert mask_precision(alone, [seen([], [], [])], 1) == [None]


def test_polygons_are_read_as_well():
    corners = [[2.0, 2.0, 8.0, 2.0, 8.0, 8.0, 2.0, 8.0]]
    truths = [Objects.of([[2, 2, 8, 8]], [0], segmentations=[corners])]
    assert mask_precision(truths, [seen([square(2, 2, 6, 6)], [0], [0.9])], 1) == [everything(1.0)]


def test_refuses_another_number_of_images(capsys):
    with pytest.raises(UserError, match=r"an entry per image\. Received: 1 for 2"):
        mask_precision([truth([], [])] * 2, [seen([], [], [])], 1)
    mask_precision([truth([square(0, 0, 6, 6)], [0])], [seen([square(0, 0, 6, 6)], [0], [0.9])], 1)
    assert capsys.readouterr().out == ""
