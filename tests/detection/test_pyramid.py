"""Pyramids: which layers, which sizes, and the same values as KerasCV's own where it works."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.backbones import ReActNetA, ReActNetTiny
from burn_tf.detection import feature_pyramid, pyramid_backbone

TINY = {"include_top": False, "pooling": "avg", "stem_strides": 2}


def test_reactnet_a_has_every_level_itself():
    backbone = ReActNetA((64, 64, 3), include_top=False, pooling="avg", width=0.25)
    levels = pyramid_backbone(backbone, 75)
    # 75 -> 38 -> 19 -> 10 -> 5 -> 3: every stride rounds up.
    sides = {"P3": (10, 10, 64), "P4": (5, 5, 128), "P5": (3, 3, 256)}
    assert {name: shape[1:] for name, shape in levels.output_shape.items()} == sides
    assert dict(levels.pyramid_level_inputs) == {
        "P3": "block5_out",
        "P4": "block11_out",
        "P5": "block13_out",
    }


def test_a_copy_gives_the_backbones_own_values():
    backbone = ReActNetTiny((64, 64, 3), **TINY)
    levels = pyramid_backbone(backbone, 64)
    images = np.random.default_rng(0).standard_normal((2, 64, 64, 3), np.float32)
    pooled = tf.reduce_mean(levels(images)["P3"], axis=[1, 2])
    np.testing.assert_allclose(pooled, backbone(images), rtol=1e-5, atol=1e-6)
    assert not {id(w) for w in levels.weights} & {id(w) for w in backbone.weights}
    assert levels.layers[1].name == "stem_conv" and "added_P4" in [x.name for x in levels.layers]


@pytest.mark.parametrize("side", [64, 75, 100])
def test_sizes_of_all_five_maps(side):
    levels = pyramid_backbone(ReActNetTiny((None, None, 3), **TINY), side)
    shapes = {name: shape[1:] for name, shape in levels.output_shape.items()}
    maps = feature_pyramid(shapes, 8)(levels(tf.zeros([1, side, side, 3])))
    wanted = [-(-side // stride) for stride in (8, 16, 32, 64, 128)]
    assert [tuple(one.shape) for one in maps] == [(1, n, n, 8) for n in wanted]


def test_values_are_those_of_kerascvs_pyramid():
    import keras_cv

    shapes = {"P3": (8, 8, 3), "P4": (4, 4, 5), "P5": (2, 2, 6)}
    ours = feature_pyramid(shapes, 256, seed=3)
    theirs = keras_cv.models.retinanet.FeaturePyramid()
    theirs.build({name: (None, *shape) for name, shape in shapes.items()})
    pairs = {
        "lateral_3": theirs.conv_c3_1x1,
        "lateral_4": theirs.conv_c4_1x1,
        "lateral_5": theirs.conv_c5_1x1,
        "out_3": theirs.conv_c3_3x3,
        "out_4": theirs.conv_c4_3x3,
        "out_5": theirs.conv_c5_3x3,
        "out_6": theirs.conv_c6_3x3,
        "out_7": theirs.conv_c7_3x3,
    }
    for name, layer in pairs.items():
        layer.set_weights(ours.get_layer(name).get_weights())
    rng = np.random.default_rng(0)
    maps = {n: rng.standard_normal((2, *s)).astype(np.float32) for n, s in shapes.items()}
    for mine, other in zip(ours(maps), theirs(maps), strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "backbone",
    [
        tf.identity,
        tf.keras.Sequential([tf.keras.Input((8, 8, 3)), tf.keras.layers.Flatten()]),
    ],
)
def test_a_network_without_levels_is_refused(backbone):
    with pytest.raises(UserError, match=r"`backbone` must .* levels none"):
        pyramid_backbone(backbone, 64)
