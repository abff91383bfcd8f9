"""The model beside KerasCV's default one: anchors, encoding, number and order of outputs."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.backbones import ReActNetTiny
from burn_tf.detection import feature_pyramid, retinanet
from burn_tf.detection.pyramid import BACKBONE_LEVELS
from burn_tf.detection.retinanet import prediction_head

TINY = {"include_top": False, "stem_strides": 2}


@pytest.fixture(scope="module")
def model():
    return retinanet(ReActNetTiny(**TINY), 3, 75, width=8, depth=1, anchor_size=32.0)


def test_anchors_are_kerascvs_and_one_per_prediction(model):
    import keras_cv

    theirs = keras_cv.models.RetinaNet.default_anchor_generator("xyxy")
    mine, other = (
        np.concatenate([np.asarray(one) for one in made(image_shape=(75, 75, 3)).values()])
        for made in (model.anchor_generator, theirs)
    )
    np.testing.assert_array_equal(mine, other)
    # 10, 5, 3, 2 and 1 places a side, nine anchors each.
    assert len(mine) == 9 * (100 + 25 + 9 + 4 + 1)
    assert model.output_shape == {"box": (None, 1251, 4), "classification": (None, 1251, 3)}


def test_small_images_have_small_anchors_of_all_shapes():
    made = retinanet(ReActNetTiny(**TINY), 1, 64, width=4, depth=0).anchor_generator
    first = np.asarray(made(image_shape=(64, 64, 3))[0]).reshape(8, 8, 9, 4)[3, 4]
    sides = np.sort(first[:, 2:] - first[:, :2], axis=1)
    areas = np.repeat([16.0, 16.0 * 2 ** (1 / 3), 16.0 * 2 ** (2 / 3)], 3) ** 2
    np.testing.assert_allclose(np.prod(sides, axis=1), areas, rtol=1e-5)
    np.testing.assert_allclose(sides[:, 1] / sides[:, 0], [2, 1, 2] * 3, rtol=1e-5)


def test_an_object_on_an_anchor_is_its_target_and_others_are_background_or_ignored(model):
    anchors = np.concatenate(
        [np.asarray(one) for one in model.anchor_generator(image_shape=(75, 75, 3)).values()]
    )
    nothing = [-1.0, -1.0, -1.0, -1.0]
    boxes = np.array([[anchors[400], nothing], [nothing, nothing]], np.float32)
    classes = np.array([[2.0, -1.0], [-1.0, -1.0]], np.float32)
    targets, wanted = model.label_encoder(
        tf.zeros([2, 75, 75, 3]), {"boxes": boxes, "classes": classes}
    )
    low = np.maximum(anchors[:, :2], anchors[400, :2])
    high = np.minimum(anchors[:, 2:], anchors[400, 2:])
    shared = np.prod(np.maximum(high - low, 0), axis=1)
    areas = np.prod(anchors[:, 2:] - anchors[:, :2], axis=1)
    overlap = shared / (areas + areas[400] - shared + 1e-7)
    clear = np.abs(overlap[:, None] - [0.4, 0.5]).min(axis=1) > 1e-4
    expected = np.select([overlap >= 0.5, overlap >= 0.4], [2.0, -2.0], -1.0)
    np.testing.assert_array_equal(np.asarray(wanted[0])[clear], expected[clear])
    np.testing.assert_allclose(targets[0, 400], np.zeros(4), atol=1e-5)
    assert (np.asarray(wanted[1]) == -1).all() and np.isfinite(targets).all()


def test_the_start_is_the_prior_everywhere_and_no_change_of_the_anchors(model):
    outputs = model(tf.random.stateless_normal([1, 75, 75, 3], [0, 1]))
    chance = np.asarray(tf.sigmoid(outputs["classification"]))
    assert np.median(chance) == pytest.approx(0.01, rel=0.1) and chance.max() < 0.05
    assert np.abs(outputs["box"]).max() < 1.0


@pytest.mark.parametrize(
    "make",
    [
        lambda seed: prediction_head(9, 4, 2, seed=seed, name="head"),
        lambda seed: feature_pyramid(dict.fromkeys(BACKBONE_LEVELS, (2, 2, 3)), 4, seed=seed),
    ],
)
def test_the_same_seed_gives_the_same_new_layers(make):
    first, again, other = (
        [w.numpy() for w in make(seed).trainable_weights if w.shape.rank == 4] for seed in (3, 3, 4)
    )
    for value, same, another in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(value, same)
        assert (value != another).any()
    # No two layers of one shape start alike either.
    pairs = itertools.combinations(first, 2)
    assert not any(a.shape == b.shape and (a == b).all() for a, b in pairs)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"num_classes": 0}, "num_classes"),
        ({"image_size": 16}, "image_size"),
        ({"anchor_size": 0.0}, "anchor_size"),
        ({"width": 0}, "width"),
        ({"depth": -1}, "depth"),
    ],
)
def test_numbers_out_of_range(arguments, named):
    usual = {"num_classes": 1, "image_size": 64, "width": 4, "depth": 0}
    with pytest.raises(UserError, match=f"`{named}` must be .*Received: "):
        retinanet(ReActNetTiny(**TINY), **{**usual, **arguments})
