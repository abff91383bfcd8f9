"""Boxes: cut to their image, empty ones left out, and what they say about a whole image."""

import numpy as np
import pytest

from burn_tf._checks import UserError
from burn_tf.data.objects import BoxRepairs, Objects, image_targets


def test_targets_of_images():
    objects = [
        Objects.of([[0, 0, 1, 1]] * 3, [0, 0, 2], difficult=[True, False, True]),
        Objects.of([], []),
        Objects.of([[0, 0, 1, 1]], [1]),
    ]
    wanted = [[1, 0, -1], [0, 0, 0], [0, 1, 0]]
    np.testing.assert_array_equal(image_targets(objects, 3), wanted)


def test_boxes_are_cut_and_empty_ones_left_out():
    boxes = [[1, 1, 5, 5], [-4, 0, 3, 9], [7, 2, 7, 4], [20, 0, 30, 4], [0, np.nan, 3, 3]]
    objects = Objects.of(boxes, [0, 1, 2, 3, 4], segmentations=list("abcde"))
    repairs = BoxRepairs()
    kept = repairs.inside(objects, height=8, width=10, where="a.jpg")
    np.testing.assert_array_equal(kept.boxes, [[1, 1, 5, 5], [0, 0, 3, 8]])
    np.testing.assert_array_equal(kept.classes, [0, 1])
    assert kept.segmentations == ("a", "b")
    told = "boxes: 1 outside their image (cut), 3 empty (left out), first in a.jpg"
    assert repairs.text() == told
    with pytest.raises(UserError, match=r"1 outside .* in 'mine'; repair .* Received: strict=True"):
        repairs.report("mine", strict=True)


def test_sound_boxes_are_not_spoken_of():
    repairs = BoxRepairs()
    found = Objects.of([[0, 0, 10.5, 8]], [0])
    np.testing.assert_array_equal(repairs.inside(found, 8, 10, "").boxes, [[0, 0, 10, 8]])
    assert len(repairs.inside(Objects.of([], []), 8, 10, "")) == 0
    assert repairs.report("mine", strict=True) == ""


def test_bytes_follow_every_part():
    plain = Objects.of([[0, 0, 1, 1]], [0])
    others = [
        Objects.of([[0, 0, 1, 2]], [0]),
        Objects.of([[0, 0, 1, 1]], [1]),
        Objects.of([[0, 0, 1, 1]], [0], difficult=[True]),
        Objects.of([[0, 0, 1, 1]], [0], crowd=[True]),
    ]
    assert len({found.tobytes() for found in [plain, *others]}) == 5
