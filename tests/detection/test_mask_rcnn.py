"""Mask R-CNN on binary backbones, where tf-models-official is installed; and where it is not.

Run the first half in the environment of requirements/segmentation.txt.
"""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.backbones import ReActNetTiny
from burn_tf.detection.canvas import canvas_batches
from burn_tf.detection.mask_rcnn import MaskRCNN, require_models
from burn_tf.detection.region_settings import RegionSettings
from tests.detection.made_outlines import made_outlines

SMALL = {
    "filters": 16,
    "head_convs": 1,
    "fc_units": 32,
    "anchors_per_image": 32,
    "candidates": 50,
    "proposals": 20,
    "regions": 16,
    "mask_regions": 4,
    "max_objects": 3,
    "max_detections": 5,
    "score_threshold": 0.0,
}
installed = pytest.mark.skipif(
    importlib.util.find_spec("official") is None,
    reason="tf-models-official is not installed: requirements/segmentation.txt",
)


def tiny(seed=0):
    tf.keras.utils.set_random_seed(seed)
    return ReActNetTiny((None, None, 3), include_top=False, pooling="avg", stem_strides=2)


def network(masks=True, **sizes):
    return MaskRCNN(tiny(), 2, 60, RegionSettings(masks=masks, **(SMALL | sizes)))


def batch(source, side, masks=True):
    settings = {"image_size": 60, "side": side, "batch_size": 4, "max_objects": 3}
    return next(canvas_batches(source, 0, seed=0, masks=masks, **settings))


def test_says_where_the_missing_package_is_to_be_had(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"requirements/segmentation\.txt") as caught:
        MaskRCNN(tiny(), 2, 64)
    assert "\n" not in str(caught.value) and "TensorFlow 2.20" in str(caught.value)
    with pytest.raises(UserError):
        require_models()


@pytest.mark.parametrize(("classes", "size"), [(0, 64), (2, 31)])
def test_refuses_before_it_looks_for_the_package(classes, size):
    with pytest.raises(UserError, match=r"num_classes|image_size"):
        MaskRCNN(lambda images: images, classes, size)


def test_a_backbone_without_pyramid_levels_is_refused():
    plain = tf.keras.Sequential([tf.keras.Input((8, 8, 3)), tf.keras.layers.Flatten()])
    for backbone in (plain, lambda images: images):
        with pytest.raises(UserError, match="end of stride 4"):
            MaskRCNN(backbone, 2, 64, RegionSettings(**SMALL))


@pytest.fixture(scope="module")
def made():
    return network()


@pytest.mark.slow
@installed
def test_a_step_changes_the_copy_of_the_binary_backbone_and_nothing_else():
    backbone = tiny()
    before = [np.array(value) for value in backbone.get_weights()]
    own = MaskRCNN(backbone, 2, 60, RegionSettings(**SMALL))
    # Levels of strides 4 and 8 and one more: 60 px are made whole with 16.
    assert own.side == 64 and set(own.model.backbone.output) == {"2", "3"}
    kernels = [v for v in own.model.backbone.trainable_variables if v.shape.rank == 4]
    assert len(kernels) > 8
    old = [np.array(kernel) for kernel in kernels]
    source = made_outlines(4, 60)
    losses = own.train_step(batch(source, own.side), 0.05)
    assert all(np.isfinite(value) for value in losses.values())
    assert min(losses["mask_loss"], losses["frcnn_cls_loss"], losses["rpn_score_loss"]) > 0
    for kernel, value in zip(kernels, old, strict=True):
        assert not np.array_equal(kernel, value), kernel.name
    for value, now in zip(before, backbone.get_weights(), strict=True):
        np.testing.assert_array_equal(value, now)


@pytest.mark.slow
@installed
def test_sgd_is_pytorchs_and_decays_kernels_alone(made):
    variables, before = made.model.trainable_variables, made.model.get_weights()
    old = [np.array(variable) for variable in variables]
    ones = [tf.ones_like(variable) for variable in variables]
    for _ in range(2):
        made._update(ones, 0.1, 0.5, 0.01)
    ranks = set()
    for variable, value in zip(variables, old, strict=True):
        decay = 0.01 if value.ndim > 1 else 0.0
        first = 1 + decay * value
        second = 0.5 * first + 1 + decay * (value - 0.1 * first)
        np.testing.assert_allclose(variable, value - 0.1 * (first + second), atol=1e-5)
        ranks.add(value.ndim)
    assert {1, 2, 4} <= ranks
    made.model.set_weights(before)
    for velocity in made._velocities:
        velocity.assign(tf.zeros_like(velocity))


@pytest.mark.slow
@installed
def test_a_batch_without_any_object_is_finite(made):
    # A short batch, as an epoch may end in.
    losses = made.train_step(batch(made_outlines(3, 60, empty=(0, 1, 2)), made.side), 0.01)
    assert all(np.isfinite(value) for value in losses.values())
    assert losses["mask_loss"] == losses["rpn_box_loss"] == losses["frcnn_box_loss"] == 0
    assert losses["rpn_score_loss"] > 0
    assert all(np.isfinite(value).all() for value in made.model.get_weights())


@pytest.mark.slow
@installed
def test_saved_weights_detect_the_same(made, tmp_path):
    one = batch(made_outlines(4, 60), made.side)
    made.train_step(one, 0.05)
    found = made.detect(one.images, one.shown)
    assert found["boxes"].shape == (4, 5, 4) and found["masks"].shape == (4, 5, 28, 28)
    assert found["counts"].max() > 0 and found["masks"].min() >= 0 and found["masks"].max() <= 1
    file = tmp_path / "a.safetensors"
    made.save_weights(file)
    assert [path.name for path in tmp_path.iterdir()] == ["a.safetensors"]
    other = network()
    assert not np.array_equal(other.detect(one.images, one.shown)["scores"], found["scores"])
    other.load_weights(file)
    for name, values in other.detect(one.images, one.shown).items():
        np.testing.assert_array_equal(values, found[name])
    with pytest.raises(UserError, match="must end in"):
        made.save_weights(tmp_path / "a.h5")
    content = bytearray(file.read_bytes())
    content[-3] ^= 1
    file.write_bytes(content)
    with pytest.raises(UserError, match="must be a whole file of save_weights"):
        made.load_weights(file)


@pytest.mark.slow
@installed
def test_faster_rcnn_is_the_same_without_masks(made, tmp_path):
    own = network(masks=False)
    own.save_weights(tmp_path / "a.safetensors")
    with pytest.raises(UserError, match="same sizes"):
        made.load_weights(tmp_path / "a.safetensors")
    one = batch(made_outlines(4, 60), own.side, masks=False)
    losses = own.train_step(one, 0.05)
    assert losses["mask_loss"] == 0 and losses["frcnn_cls_loss"] > 0
    found = own.detect(one.images[:3], one.shown[:3])
    assert set(found) == {"boxes", "classes", "scores", "counts"} and len(found["boxes"]) == 3
