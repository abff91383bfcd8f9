"""Outlines, crops and pastes of masks against masks drawn by hand."""

from __future__ import annotations

import importlib

import numpy as np
import pytest

from burn_tf._checks import UserError
from burn_tf.detection.masks import (
    coco_module,
    crop_mask,
    encode_mask,
    outline_mask,
    paste_mask,
)

pytest.importorskip("pycocotools")


def disc(height, width, centre, radius):
    rows, columns = np.mgrid[:height, :width] + 0.5
    return ((rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 <= radius**2).astype(np.uint8)


def overlap(first, second):
    return (first & second).sum() / (first | second).sum()


def test_the_kinds_of_outlines_that_coco_has():
    square = np.zeros((4, 5), np.uint8)
    square[1:3, 1:4] = 1
    polygon = [[1.0, 1.0, 4.0, 1.0, 4.0, 3.0, 1.0, 3.0]]
    # Down the columns: 4 zeros and the first of column 1, two ones, two zeros between columns.
    runs = {"size": [4, 5], "counts": [5, 2, 2, 2, 2, 2, 5]}
    for outline in (polygon, runs, encode_mask(square)):
        np.testing.assert_array_equal(outline_mask(outline, 4, 5), square)


def test_two_polygons_are_one_object_and_lines_are_none():
    two = [[0, 0, 1, 0, 1, 2, 0, 2], [2, 0, 3, 0, 3, 2, 2, 2], [0, 0, 3, 2]]
    np.testing.assert_array_equal(outline_mask(two, 2, 3), [[1, 0, 1], [1, 0, 1]])
    for nothing in ([], [[0, 0, 2, 2]]):
        assert outline_mask(nothing, 2, 3).shape == (2, 3)
        assert not outline_mask(nothing, 2, 3).any()


@pytest.mark.parametrize("outline", [{"size": [3, 2], "counts": [6]}, {"counts": [6]}, None, "x"])
def test_refuses_outlines_of_another_image(outline):
    with pytest.raises(UserError, match=r"size \[2, 3\].*Received") as caught:
        outline_mask(outline, 2, 3)
    assert "\n" not in str(caught.value)


def test_a_crop_has_the_values_between_the_centres_of_pixels():
    ramp = np.arange(8, dtype=np.float32)[None].repeat(4, axis=0)
    # Four columns of 1.5 pixels from x = 1 have their centres at 1.75, 3.25, 4.75 and 6.25.
    expected = np.array([1.25, 2.75, 4.25, 5.75], np.float32)
    np.testing.assert_allclose(crop_mask(ramp, np.array([1, 0, 7, 4]), 4), [expected] * 4)


def test_a_full_box_is_pasted_onto_just_its_pixels():
    pasted = paste_mask(np.ones((28, 28)), np.array([2.0, 1.0, 5.0, 3.0]), 6, 7)
    expected = np.zeros((6, 7), bool)
    expected[1:3, 2:5] = True
    np.testing.assert_array_equal(pasted, expected)


@pytest.mark.parametrize(
    "box", [[-5, -4, 40, 30], [30, 20, 60, 50], [50, 5, 60, 9], [3, 3, 3.2, 3.2]]
)
def test_boxes_that_reach_out_or_hold_no_centre(box):
    pasted = paste_mask(np.ones((28, 28)), np.array(box, np.float32), 32, 40)
    rows, columns = np.mgrid[:32, :40] + 0.5
    inside = (columns > box[0]) & (columns < box[2]) & (rows > box[1]) & (rows < box[3])
    np.testing.assert_array_equal(pasted, inside)


def test_what_is_cropped_comes_back():
    mask = disc(60, 80, (31.3, 40.8), 17.4)
    box = np.array([40.8 - 17.4, 31.3 - 17.4, 40.8 + 17.4, 31.3 + 17.4])
    back = paste_mask(crop_mask(mask, box, 112), box, 60, 80)
    assert overlap(back, mask.astype(bool)) > 0.99
    coarse = paste_mask(crop_mask(mask, box, 28), box, 60, 80)
    assert overlap(coarse, mask.astype(bool)) > 0.96
    shifted = paste_mask(crop_mask(mask, box, 28), box + 1, 60, 80)
    assert overlap(shifted, mask.astype(bool)) < 0.96


def test_says_what_is_missing(monkeypatch):
    def missing(name):
        raise ModuleNotFoundError(f"No module named {name!r}")

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(UserError, match=r"pip install pycocotools\. Received: No module named"):
        coco_module("mask")
