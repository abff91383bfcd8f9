"""Boxes land on their pixels, whatever the boxes are; pictures come back as they went in."""

from __future__ import annotations

import base64
import io
import math
from typing import Any

import numpy as np
import pytest
from PIL import Image

from burn_tf._checks import UserError
from burn_tf.report.pictures import Box, boxes_of, draw_boxes, picture_uri
from burn_tf.report.png import encode_png

BLUE = (0x35, 0x66, 0xD6)
ORANGE = (0xD9, 0x60, 0x1A)


def changed(before: np.ndarray, after: np.ndarray) -> set[tuple[int, int]]:
    return {tuple(place) for place in np.argwhere((before != after).any(axis=2)).tolist()}


def test_an_edge_is_drawn_on_the_pixels_it_encloses() -> None:
    black = np.zeros((30, 40, 3), np.uint8)
    # The image spans 0..width, so a box from 5 to 15 holds the pixels 5 to 14.
    drawn = draw_boxes(black, [Box(5, 10, 15, 20)])
    frame = {(y, x) for y in range(10, 20) for x in range(5, 15)}
    frame -= {(y, x) for y in range(11, 19) for x in range(6, 14)}
    assert changed(black, drawn) == frame
    assert tuple(drawn[10, 5]) == BLUE and not black.any()


def test_a_box_that_covers_the_picture_frames_it() -> None:
    black = np.zeros((12, 12, 3), np.uint8)
    drawn = draw_boxes(black, [Box(-50, -1e6, 1e6, 99)])
    assert len(changed(black, drawn)) == 44


@pytest.mark.parametrize(
    "edges",
    [(12, 2, 20, 5), (-9, -9, 0, 0), (5, 5, 5, 9), (5, 9, 8, 9), (8, 2, 3, 6)],
    ids=["right of it", "left above", "no width", "no height", "turned"],
)
def test_boxes_without_a_pixel_are_left_out(edges: tuple[float, float, float, float]) -> None:
    black = np.zeros((12, 12, 3), np.uint8)
    left, top, right, bottom = edges
    assert not draw_boxes(black, [Box(left, top, right, bottom, "ghost", 0.5)]).any()


def test_a_part_of_a_pixel_is_a_box() -> None:
    drawn = draw_boxes(np.zeros((9, 9, 3), np.uint8), [Box(3.2, 4.4, 3.4, 4.6)])
    assert np.argwhere(drawn.any(axis=2)).tolist() == [[4, 3]]


def test_names_have_colours_and_annotations_are_white() -> None:
    black = np.zeros((60, 90, 3), np.uint8)
    dog, cat = Box(2, 20, 20, 50, "dog", 0.5), Box(30, 20, 50, 50, "cat", 0.9)
    truth = Box(60, 20, 80, 50, truth=True)
    drawn = draw_boxes(black, [dog, cat, truth])
    assert tuple(drawn[45, 30]) == BLUE and tuple(drawn[45, 2]) == ORANGE
    assert tuple(drawn[45, 60]) in {(255, 255, 255), (0, 0, 0)}
    assert (drawn[45, 58:64] == 255).all(axis=1).any()
    # The order in which boxes come changes nothing.
    np.testing.assert_array_equal(draw_boxes(black, [truth, cat, dog]), drawn)


def test_the_best_detection_lies_on_top() -> None:
    black = np.zeros((60, 60, 3), np.uint8)
    boxes = [Box(10, 10, 40, 40, "a", 0.9), Box(10, 10, 40, 40, "b", 0.1)]
    assert tuple(draw_boxes(black, boxes)[39, 25]) == BLUE


def test_name_and_score_are_written_inside_the_picture() -> None:
    black = np.zeros((80, 80, 3), np.uint8)
    bare = draw_boxes(black, [Box(60, 2, 78, 70)])
    named = draw_boxes(black, [Box(60, 2, 78, 70, "long name", 0.25)])
    extra = changed(bare, named)
    assert len(extra) > 100 and min(x for _, x in extra) < 60
    assert (named > 200).all(axis=2).any()
    assert Box(0, 0, 1, 1, "long name", 0.25).text() == "long name 0.25"
    assert Box(0, 0, 1, 1).text() == ""


def test_large_pictures_are_made_smaller_with_their_boxes() -> None:
    black = np.zeros((300, 1200, 3), np.uint8)
    drawn = draw_boxes(black, [Box(400, 100, 800, 200)], max_side=300)
    assert drawn.shape == (75, 300, 3)
    rows, columns = np.nonzero(drawn.any(axis=2))
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (25, 49, 100, 199)
    assert draw_boxes(np.zeros((1, 5000), np.uint8), [], max_side=10).shape == (1, 10, 3)


def test_no_box_leaves_the_picture_alone() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (7, 5, 3), dtype=np.uint8)
    np.testing.assert_array_equal(draw_boxes(pixels, []), pixels)


def test_a_box_survives_its_record() -> None:
    box = Box(1.5, 2, 3, 4, "cat", 0.5, truth=True)
    assert Box.from_record(box.to_record()) == box
    assert Box.from_record({"left": 0, "top": 0, "right": 1, "bottom": 1}) == Box(0, 0, 1, 1)


@pytest.mark.parametrize("record", [{"left": 0}, {"left": 0, "top": 0, "right": 1, "bottom": 1,
                                                  "x": 2}])  # fmt: skip
def test_records_of_something_else(record: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="a box must have left, top, right, bottom"):
        Box.from_record(record)


@pytest.mark.parametrize("value", [math.nan, math.inf, "3", None, True])
def test_an_edge_is_a_number(value: Any) -> None:
    with pytest.raises(UserError, match="`right` of a box must be a finite number"):
        Box(0, 0, value, 1)


def test_boxes_from_arrays() -> None:
    edges = np.array([[0, 1, 2, 3], [4, 5, 6, 7]], np.float32)
    found = boxes_of(edges, np.array([1, 0]), class_names=["cat", "dog"], scores=[0.5, 0.25])
    assert found == [Box(0, 1, 2, 3, "dog", 0.5), Box(4, 5, 6, 7, "cat", 0.25)]
    assert boxes_of(edges[:1], [7], truth=True) == [Box(0, 1, 2, 3, "7", None, True)]
    assert boxes_of(np.zeros((0, 4)), []) == []
    with pytest.raises(UserError, match=r"of one length. Received: \[1, 2\]"):
        boxes_of(edges, [1])


@pytest.mark.parametrize(
    "pixels",
    [np.zeros((4, 4, 3), np.float32), np.zeros((4, 4, 4), np.uint8), np.zeros((0, 4), np.uint8)],
)
def test_what_is_no_picture(pixels: np.ndarray) -> None:
    with pytest.raises(UserError, match="`pixels` must be uint8"):
        draw_boxes(pixels, [])


def test_small_pictures_are_kept_exactly_and_large_ones_closely() -> None:
    rng = np.random.default_rng(1)
    small = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    kind, _, data = picture_uri(small).partition(",")
    assert kind == "data:image/png;base64" and base64.b64decode(data) == encode_png(small)
    ramp = np.broadcast_to(np.arange(200, dtype=np.uint8)[:, None, None], (200, 65, 3))
    for pixels in (ramp, ramp[:, :, :1], ramp[:, :, 0]):
        kind, _, data = picture_uri(np.ascontiguousarray(pixels)).partition(",")
        assert kind == "data:image/jpeg;base64"
        shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB"))
        assert np.abs(shown.astype(int) - ramp).max() <= 4
