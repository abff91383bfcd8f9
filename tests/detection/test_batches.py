"""Boxes follow their pixels; everything random is a function of seed, epoch and index."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from burn_tf._checks import UserError
from burn_tf.data import Objects
from burn_tf.data.preprocessing import IMAGENET_MEAN, IMAGENET_STD
from burn_tf.detection import scoring_batches, training_batches
from tests.detection.made_boxes import COLOURS, made_boxes

SIZES = {"image_size": 96, "batch_size": 4}


def pixels_of(images: np.ndarray) -> np.ndarray:
    """0..255 again; what lies outside an image is its mean colour."""
    return (images * np.array(IMAGENET_STD) + np.array(IMAGENET_MEAN)) * 255


def arrays(dataset):
    return [tuple(np.asarray(part) for part in batch) for batch in dataset]


@pytest.mark.parametrize("seed", [0, 1])
def test_what_is_inside_a_box_has_its_colour_and_what_is_around_has_not(seed):
    source = made_boxes(empty=(2,))
    batches = arrays(training_batches(source, **SIZES, epochs=2, seed=seed, min_scale=0.7))
    assert len(batches) == 4
    number = 0
    corners: list[int] = []
    for images, boxes, classes in batches:
        assert images.shape == (4, 96, 96, 3) and boxes.shape == (4, 2, 4)
        for image, own, kinds in zip(pixels_of(images), boxes, classes, strict=True):
            assert (own[kinds == -1] == -1).all()
            for box, kind in zip(own[kinds >= 0], kinds[kinds >= 0], strict=True):
                colour = COLOURS[int(kind)]
                x, y, right, bottom = np.rint(box).astype(int)
                assert 0 <= x < right <= 96 and 0 <= y < bottom <= 96
                inner = image[y + 2 : bottom - 2, x + 2 : right - 2]
                assert np.abs(inner - colour).max() < 2.0
                # A pixel beyond each side there is no such colour.
                for beyond in (image[y - 3, x:right], image[y:bottom, x - 3]):
                    assert x < 3 or y < 3 or np.abs(beyond - colour).max(axis=-1).min() > 50
                number, corners = number + 1, [*corners, x]
    # 11 rectangles in 7 images, in each of two epochs; no two in the same place.
    assert number == 22 and len(set(corners)) > 15


def test_mirrored_in_half_of_the_cases_and_the_same_every_time():
    source = made_boxes(number=2)
    sizes = {"image_size": 64, "batch_size": 2, "min_scale": 1.0, "epochs": 40}
    plain = {tuple(box) for objects in source.objects for box in objects.boxes.tolist()}
    runs = [arrays(training_batches(source, **sizes, seed=5)) for _ in range(2)]
    for one, other in zip(*runs, strict=True):
        for part, same in zip(one, other, strict=True):
            np.testing.assert_array_equal(part, same)
    rows = np.concatenate([boxes.reshape(-1, 4) for _, boxes, _ in runs[0]])
    unmoved = sum(tuple(row) in plain for row in rows[rows[:, 0] >= 0].tolist())
    assert 40 < unmoved < 80, "of 120 boxes"


def test_scoring_places_the_whole_image_at_the_corner():
    wide = made_boxes(number=2, side=40)
    wide = dataclasses.replace(wide, array=wide.array[:, :20])
    ((images, sizes),) = arrays(scoring_batches(wide, image_size=80, batch_size=4))
    np.testing.assert_array_equal(sizes, [[20, 40]] * 2)
    assert not images[:, 40:].any() and images[:, :40].any(axis=-1).all()
    # Enlarged by two, the mean of each pair of pixels is the pixel, inside the image.
    small = pixels_of(images[:, :40]).reshape(2, 20, 2, 40, 2, 3).mean(axis=(2, 4))
    off = np.abs(small - wide.array)[:, 1:-1, 1:-1]
    assert np.median(off) < 8


@pytest.mark.parametrize(
    ("boxes", "message"),
    [
        ([[3, 3, 3, 9]], r"with an area.* image 0"),
        ([[-4, 3, 9, 9]], r"inside their image"),
        ([[0, 0, np.nan, 9]], r"with an area"),
    ],
)
def test_boxes_that_no_image_has_are_refused(boxes, message):
    source = made_boxes(number=1)
    source = dataclasses.replace(source, objects=(Objects.of(boxes, [0]),))
    with pytest.raises(UserError, match=message):
        training_batches(source, image_size=64, batch_size=1)


def test_crowds_are_no_targets_and_difficult_objects_are():
    source = made_boxes(number=1)
    marked = Objects.of([[0, 0, 9, 9], [9, 9, 30, 30]], [0, 1], [True, False], [False, True])
    source = dataclasses.replace(source, objects=(marked,))
    ((_, _, classes),) = arrays(training_batches(source, image_size=64, batch_size=1))
    np.testing.assert_array_equal(classes, [[0.0]])


def test_a_source_without_boxes_is_refused():
    bare = dataclasses.replace(made_boxes(), objects=())
    with pytest.raises(UserError, match=r"needs boxes.*'made' \(train\)"):
        training_batches(bare, **SIZES)
