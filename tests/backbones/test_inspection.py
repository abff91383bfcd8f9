"""Counting work and finding the ends of the resolution levels."""

from __future__ import annotations

import pytest
import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.backbones import (
    ReActNetTiny,
    ResNet18,
    ResNet50,
    count_macs,
    end_points,
    set_binarize,
)


def test_reactnet_a_has_the_published_size(reactnet_a):
    macs = count_macs(reactnet_a)
    assert round(macs.binary / 1e9, 2) == 4.82
    assert round(macs.floating / 1e8, 2) == 0.12
    assert macs.floating == 112 * 112 * 27 * 32 + 1024 * 1000
    assert macs.by_layer["block1_3x3_conv"] == 112 * 112 * 9 * 32 * 32
    assert macs.by_layer["block13_1x1a_conv"] == 7 * 7 * 1024 * 1024
    assert sum(macs.by_layer.values()) == macs.binary + macs.floating


def test_only_binary_kernels_and_inputs_count_as_binary():
    model = ReActNetTiny((16, 16, 3))
    both = count_macs(model)
    half = count_macs(set_binarize(model, "activations"))
    assert both.binary > 0
    assert half.binary == 0
    assert half.floating == both.binary + both.floating


@pytest.mark.parametrize(("builder", "macs"), [(ResNet18, 1.814), (ResNet50, 4.089)])
def test_resnets_have_torchvisions_size(builder, macs):
    assert round(count_macs(builder((224, 224, 3))).floating / 1e9, 3) == macs


def test_needs_an_image_size():
    with pytest.raises(UserError, match=r"input_shape=\(height, width, 3\)"):
        count_macs(ReActNetTiny())


@pytest.mark.parametrize("stem_strides", [1, 2, 4])
def test_end_points_have_their_stride(stem_strides):
    model = ReActNetTiny((64, 64, 3), stem_strides=stem_strides)
    levels = end_points(model)
    assert levels
    for level, name in levels.items():
        assert model.get_layer(name).output_shape[1] == 64 // 2 ** int(level[1:])


def test_end_points_are_the_last_of_their_size(reactnet_a):
    assert end_points(reactnet_a) == {
        "P2": "block3_out",
        "P3": "block5_out",
        "P4": "block11_out",
        "P5": "block13_out",
    }
    assert end_points(ResNet50(width=0.125)) == {
        "P2": "layer1_2_out",
        "P3": "layer2_3_out",
        "P4": "layer3_5_out",
        "P5": "layer4_2_out",
    }
    assert end_points(ResNet18(width=0.125, small_image_stem=True)) == {
        "P2": "layer3_1_out",
        "P3": "layer4_1_out",
    }


def test_end_points_build_a_pyramid(reactnet_a):
    maps = [reactnet_a.get_layer(name).output for name in end_points(reactnet_a).values()]
    pyramid = tf.keras.Model(reactnet_a.input, maps)
    assert pyramid.output_shape == [
        (None, 56, 56, 128),
        (None, 28, 28, 256),
        (None, 14, 14, 512),
        (None, 7, 7, 1024),
    ]
