"""Where images, boxes and masks come to lie; batches are functions of (seed, epoch, image)."""

from __future__ import annotations

import numpy as np
import pytest

from burn_tf.data import Objects, Source
from burn_tf.detection.canvas import CanvasBatch, canvas_batches, place

pytest.importorskip("pycocotools")
# The lower left half of a box: neither flipping nor turning leaves it as it is.
CORNER = [10, 10, 10, 30, 34, 30]
WHITE = (1 - 0.485) / 0.229


def corner_source(number=5):
    """White right triangles on black, 40 x 60 px; image 1 is empty, image 2 has a crowd as well."""
    rows, columns = np.mgrid[:40, :60] + 0.5
    inside = (columns > 10) & (rows < 30) & ((columns - 10) / 24 < (rows - 10) / 20)
    array = np.zeros((number, 40, 60, 3), np.uint8)
    one = Objects.of([[10, 10, 34, 30]], [1], segmentations=[[CORNER]])
    objects = [one] * number
    array[:, inside] = 255
    array[1] = 0
    objects[1] = Objects.of([], [])
    runs = {"size": [40, 60], "counts": [0, 2400]}
    crowd = Objects.of([[0, 0, 60, 40]], [0], crowd=[True], segmentations=[runs])
    objects[2] = Objects.of(
        np.concatenate([crowd.boxes, one.boxes]),
        [0, 1],
        crowd=[True, False],
        segmentations=[runs, [CORNER]],
    )
    return Source("made", "train", None, ("a", "b"), "0", array=array, objects=tuple(objects))


def batches(source, epoch=0, seed=0, **settings):
    given = {"image_size": 60, "side": 64, "batch_size": 2, "max_objects": 3, "masks": True}
    return list(canvas_batches(source, epoch, seed=seed, **(given | settings)))


def joined(parts):
    return {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in CanvasBatch.__dataclass_fields__
    }


def test_an_image_for_scoring_is_whole_and_upright():
    where = place((40, 60), 120, 128)
    assert (where.scale, where.corner, where.flipped) == (2.0, (0.0, 0.0), False)
    np.testing.assert_array_equal(where.shown, [80, 120])
    boxes = np.array([[1, 2, 3, 5], [50, 30, 70, 50]], np.float32)
    np.testing.assert_allclose(where.to_canvas(boxes), [[4, 2, 10, 6], [60, 100, 80, 120]])
    drawn = where.draw(np.full((40, 60, 3), 255, np.uint8))
    assert drawn.shape == (128, 128, 3) and drawn.dtype == np.float32
    assert not drawn[80:].any() and not drawn[:, 120:].any()
    np.testing.assert_allclose(drawn[:80, :120, 0], WHITE, atol=1e-5)


@pytest.mark.parametrize("draws", [(0.4, 0.0, 0, 0), (0.6, 0.9, 0.3, 0.8), (0.1, 0.99, 0.9, 0.1)])
def test_boxes_go_to_the_canvas_and_back(draws):
    where = place((40, 60), 64, 64, np.array(draws))
    assert where.flipped == (draws[0] < 0.5)
    assert where.scale == pytest.approx(64 / 60 * (0.8 + 0.45 * draws[1]))
    box = np.array([[24, 14, 34, 25]], np.float32)
    moved = where.to_canvas(box)
    assert (moved >= 0).all() and (moved <= 64).all()
    np.testing.assert_allclose(where.to_image(moved), box, atol=1e-4)


def test_what_is_larger_than_the_canvas_is_cut_somewhere_inside():
    corners = {place((40, 60), 64, 64, np.array([0.9, 1, d, a])).corner for d in (0, 0.9)
               for a in (0, 0.5, 0.9)}  # fmt: skip
    assert len(corners) == 3  # 53 rows fit, 80 columns do not
    assert all(down == 0 and -16 <= across <= 0 for down, across in corners)
    where = place((40, 60), 64, 64, np.array([0.9, 1, 0, 0.5]))
    np.testing.assert_allclose(where.shown, [160 / 3, 64])
    np.testing.assert_allclose(where.to_canvas([[0, 0, 60, 40]])[0], [0, 0, 160 / 3, 64], rtol=1e-5)


def test_boxes_and_masks_are_where_the_drawn_object_is():
    found = joined(batches(corner_source(), batch_size=5, seed=3))
    flipped = 0
    for image, boxes, classes, masks in zip(
        found["images"], found["boxes"], found["classes"], found["masks"], strict=True
    ):
        if classes[0] < 0:
            continue
        bright = image[..., 0] > 0
        rows, columns = np.flatnonzero(bright.any(axis=1)), np.flatnonzero(bright.any(axis=0))
        edges = [rows[0], columns[0], rows[-1] + 1, columns[-1] + 1]
        # The tips are thinner than a pixel.
        np.testing.assert_allclose(boxes[0], edges, atol=2.5)
        upper, lower = masks[0][:56].mean(), masks[0][56:].mean()
        left, right = masks[0][:, :56].mean(), masks[0][:, 56:].mean()
        area = bright.sum() / np.prod(boxes[0][2:] - boxes[0][:2])
        assert lower > 0.7 > 0.3 > upper and masks[0].mean() == pytest.approx(area, abs=0.06)
        middle = image[:, columns[0] : columns[-1] + 1]
        half = middle.shape[1] // 2
        bright_left = (middle[:, :half, 0] > 0).sum() > (middle[:, -half:, 0] > 0).sum()
        assert (left > right) == bright_left
        flipped += not bright_left
    assert flipped in (1, 2, 3)


def test_an_epoch_has_every_image_once_and_keeps_the_empty_one():
    source = corner_source()
    parts = batches(source)
    assert [len(part.images) for part in parts] == [2, 2, 1]
    found = joined(parts)
    assert found["images"].shape == (5, 64, 64, 3) and found["masks"].shape == (5, 3, 112, 112)
    assert sorted((found["classes"] > 0).sum(axis=1)) == [0, 1, 1, 1, 1]
    empty = int(np.flatnonzero((found["classes"] < 0).all(axis=1))[0])
    assert (found["boxes"][empty] == -1).all() and (found["masks"][empty] == -1).all()
    # A crowd is no target, and classes are numbered from 1.
    assert set(found["classes"].ravel()) == {-1, 2}


def test_random_views_depend_on_seed_and_epoch_and_not_on_the_batch():
    source = corner_source()
    first = joined(batches(source, epoch=1, seed=7))
    for parts in (batches(source, epoch=1, seed=7), batches(source, 1, 7, batch_size=3)):
        for name, values in joined(parts).items():
            np.testing.assert_array_equal(values, first[name])
    for epoch, seed in ((2, 7), (1, 8)):
        other = joined(batches(source, epoch=epoch, seed=seed))
        assert not np.array_equal(other["images"], first["images"])


def test_without_masks_and_with_few_places():
    parts = batches(corner_source(), masks=False, max_objects=1, batch_size=9)
    assert parts[0].masks.shape == (5, 1, 0, 0) and parts[0].boxes.shape == (5, 1, 4)
