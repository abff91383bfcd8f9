"""What a detector finds in pictures, and that a file brings all of it back."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.backbones import ReActNetTiny
from burn_tf.convert import save_packed
from burn_tf.detection import Detector, scoring_batches
from tests.detection.made_boxes import NAMES, made_boxes

TINY = {"include_top": False, "stem_strides": 2}


def small(**words: Any) -> Detector:
    tf.keras.utils.set_random_seed(0)
    return Detector.of(ReActNetTiny(**TINY), NAMES, 64, width=8, depth=1, **words)


@pytest.fixture(scope="module")
def detector() -> Detector:
    """Untrained, but sure of what it sees: class scores are spread over 0 to 1."""
    made = small(anchor_size=12.0)
    last = made.model.classification_head.layers[-1]
    kernel = np.random.default_rng(0).normal(0, 0.4, last.kernel.shape)
    last.set_weights([kernel, np.full(last.bias.shape, -2.0)])
    return made


class Answers:
    """In the place of a network: the deltas and logits of one box per image."""

    def __init__(self, detector: Detector, boxes: np.ndarray, classes: list[int]) -> None:
        made = detector.model.anchor_generator(image_shape=(64, 64, 3))
        anchors = np.concatenate([np.asarray(one) for one in made.values()])
        self.box = np.zeros((len(boxes), len(anchors), 4), np.float32)
        self.logits = np.full((len(boxes), len(anchors), len(NAMES)), -9.0, np.float32)
        for image, (box, number) in enumerate(zip(boxes, classes, strict=True)):
            # RetinaNet's encoding by hand: centre and logarithm of the extent, y before x.
            anchor = anchors[300]
            middle, extent = (anchor[:2] + anchor[2:]) / 2, anchor[2:] - anchor[:2]
            shift = ((box[:2] + box[2:]) / 2 - middle) / extent / 0.1
            growth = np.log((box[2:] - box[:2]) / extent) / 0.2
            self.box[image, 300] = [shift[1], shift[0], growth[1], growth[0]]
            self.logits[image, 300, number] = 3.0

    def __call__(self, images: tf.Tensor, training: bool = False) -> dict[str, tf.Tensor]:
        return {"box": tf.constant(self.box), "classification": tf.constant(self.logits)}


def test_boxes_come_back_in_the_pixels_of_each_picture():
    """A 64 px square holds 32 x 128 at half its size, and 16 x 8 four times as large."""
    made = small()
    boxes = np.array([[10.0, 2.0, 40.0, 12.0], [4.0, 8.0, 50.0, 60.0]])
    made.network = Answers(made, boxes, [2, 0])
    pictures = [np.zeros((32, 128, 3), np.uint8), np.zeros((16, 8, 3), np.uint8)]
    wide, tall = made.detect(pictures)
    np.testing.assert_allclose(wide.boxes, [[20, 4, 80, 24]], atol=1e-3)
    # 50 / 4 lies outside of 8 pixels: cut.
    np.testing.assert_allclose(tall.boxes, [[1, 2, 8, 15]], atol=1e-3)
    assert (wide.classes.tolist(), tall.classes.tolist()) == ([2], [0])
    np.testing.assert_allclose(wide.scores, [1 / (1 + np.exp(-3.0))], rtol=1e-5)


def test_a_picture_alone_a_source_and_batches_give_the_same(detector):
    source = made_boxes(number=5)
    whole = detector.detect_source(source, batch_size=2)
    assert sum(len(found) for found in whole) > 20
    alone = [detector.detect([source.image(i)])[0] for i in range(5)]
    for one, other in zip(whole, alone, strict=True):
        np.testing.assert_allclose(one.scores, other.scores, rtol=1e-4)
        np.testing.assert_array_equal(one.classes, other.classes)
        assert (np.diff(one.scores) <= 0).all() and len(one) <= 100
        assert (one.boxes[:, 2:] > one.boxes[:, :2]).all() and one.boxes.max() <= 64
    assert detector.detect([]) == []


def test_save_and_load_give_equal_detections(detector, tmp_path):
    path = tmp_path / "detector.safetensors"
    detector.save(path)
    assert Detector.is_file(path)
    again = Detector.load(path)
    facts = [(d.class_names, d.image_size, d.anchor_size) for d in (detector, again)]
    assert facts == [(NAMES, 64, 12.0)] * 2
    source = made_boxes(number=4)
    (images, _), *_ = scoring_batches(source, image_size=64, batch_size=4)
    mine, theirs = (d.network(images) for d in (detector, again))
    for key in mine:
        np.testing.assert_allclose(mine[key], theirs[key], rtol=1e-3, atol=1e-3)
    for one, other in zip(detector.detect_source(source), again.detect_source(source), strict=True):
        np.testing.assert_array_equal(one.classes, other.classes)
        np.testing.assert_allclose(one.boxes, other.boxes, atol=0.01)
    # From the first file on nothing moves any more, not even in the last bit.
    again.save(tmp_path / "second.safetensors")
    third = Detector.load(tmp_path / "second.safetensors")
    for value, same in zip(again.network.get_weights(), third.network.get_weights(), strict=True):
        np.testing.assert_array_equal(value, same)


def test_what_is_no_detector_is_refused(tmp_path):
    path = tmp_path / "backbone.safetensors"
    save_packed(ReActNetTiny((32, 32, 3)), path)
    with pytest.raises(UserError, match=r"written by Detector.save.*backbone.safetensors"):
        Detector.load(path)
    assert not Detector.is_file(path) and not Detector.is_file(tmp_path / "none.safetensors")


@pytest.mark.parametrize(
    "image", [np.zeros((8, 8), np.uint8), np.zeros((8, 8, 3)), np.zeros((0, 8, 3), np.uint8)]
)
def test_pictures_of_another_kind_are_refused(detector, image):
    with pytest.raises(UserError, match=r"`images` must be uint8 \[H, W, 3\].*Received"):
        detector.detect([image])


def test_one_name_per_class(detector):
    with pytest.raises(UserError, match=r"`class_names` must be 3 names\. Received: 1"):
        Detector(detector.model, ["cat"])


def test_a_source_of_files(detector, tmp_path):
    """Images of two sizes, as bytes of files."""
    from PIL import Image

    source = made_boxes(number=2)
    paths = []
    for number, size in enumerate([(64, 64), (100, 50)]):
        paths.append(str(tmp_path / f"{number}.png"))
        Image.fromarray(source.array[number]).resize(size).save(paths[-1])
    kinds = np.zeros(2, np.int32)
    files = dataclasses.replace(source, array=None, paths=tuple(paths), kinds=kinds)
    found = detector.detect_source(files)
    assert found[1].boxes[:, [1, 3]].max() <= 50 and found[1].boxes.max() > 64
