"""Conversion: every binary layer is found in the file, or the reason is given."""

from __future__ import annotations

import json
import os

import larq
import numpy as np
import pytest
import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.backbones import ReActNetTiny
from burn_tf.export import read_labels, to_lce, verify
from burn_tf.export.flatbuffer import read_flatbuffer
from burn_tf.layers import BatchNorm, BinaryConv2D, RSign


def test_report_of_a_larq_model(exported):
    report = exported.report
    assert [(layer.name, layer.became_binary) for layer in report.layers] == [
        ("binary_0", True),
        ("binary_1", True),
    ]
    assert report.operators["LceBconv2d"] == report.num_binary == 2
    assert [layer.macs for layer in report.layers] == [10 * 10 * 40 * 40 * 9] * 2
    assert [layer.binary_bytes for layer in report.layers] == [40 * 9 * 2 * 4] * 2
    assert report.size_bytes == len(exported.flatbuffer) < report.float_weight_bytes / 4
    assert report.notes == () and report.stayed_float() == ()


def test_batch_is_one(exported):
    graph = read_flatbuffer(exported.flatbuffer)
    assert graph.inputs[0].shape == (1, 10, 10, 3)
    assert graph.outputs[0].shape == (1, 7)


@pytest.mark.parametrize("pad_values", [0.0, 1.0])
def test_reactnet_tiny_agrees_with_keras(shaken, pad_values):
    model = shaken(ReActNetTiny(input_shape=(16, 16, 3), classes=10, pad_values=pad_values))
    exported = to_lce(model)
    layers = [layer for layer in model.submodules if isinstance(layer, BinaryConv2D)]
    assert exported.report.operators["LceBconv2d"] == len(layers) == exported.report.num_binary
    images = np.random.default_rng(0).normal(size=(64, 16, 16, 3))
    parity = verify(exported.flatbuffer, model, images)
    # A value at a sign's threshold may fall on its other side, which ones depends on the processor.
    assert parity.top1_agreement == 1.0 and parity.share_equal > 0.9
    assert parity.median_abs_difference < 1e-4


def test_large_kernels_stay_binary(shaken):
    """The converter folds quantisers only up to a size, between 512 x 512 and 3 x 3 x 256 x 256."""
    inputs = tf.keras.layers.Input((4, 4, 256))
    x = BatchNorm()(BinaryConv2D(256, 3, name="large")(RSign()(inputs)))
    exported = to_lce(shaken(tf.keras.Model(inputs, x)))
    assert exported.report.operators["LceBconv2d"] == 1
    assert exported.report.size_bytes < 3 * 3 * 256 * 256 / 8 * 1.2


def test_the_model_is_left_as_it_was(larq_model, images):
    model = larq_model()
    before = [np.array(variable) for variable in model.variables], model.to_json()
    to_lce(model)
    assert model.to_json() == before[1]
    for old, variable in zip(before[0], model.variables, strict=True):
        np.testing.assert_array_equal(old, variable.numpy())
    assert not larq.context.should_quantize()


def test_any_size_with_input_size(larq_model):
    exported = to_lce(larq_model(side=None), input_size=(8, 6))
    assert read_flatbuffer(exported.flatbuffer).inputs[0].shape == (1, 8, 6, 3)


def test_mixed_precision_is_rebuilt_and_said(shaken, images):
    tf.keras.mixed_precision.set_global_policy("mixed_bfloat16")
    model = shaken(ReActNetTiny(input_shape=(10, 10, 3)))
    tf.keras.mixed_precision.set_global_policy("float32")
    exported = to_lce(model)
    assert exported.report.num_binary == len(exported.report.layers) > 0
    assert "mixed_bfloat16" in exported.report.notes[0]
    assert "mixed_bfloat16" in str(exported.report)
    parity = verify(exported.flatbuffer, model, images)
    assert parity.median_abs_difference < 1e-3 and parity.notes == exported.report.notes


def _with_dense(shaken):
    inputs = tf.keras.layers.Input((4, 4, 8))
    x = BatchNorm()(BinaryConv2D(8, 3, name="convolution")(RSign()(inputs)))
    dense = larq.layers.QuantDense(
        5,
        input_quantizer="ste_sign",
        kernel_quantizer="ste_sign",
        kernel_constraint="weight_clip",
        name="dense",
    )
    return shaken(tf.keras.Model(inputs, dense(tf.keras.layers.GlobalAveragePooling2D()(x))))


def _real_input(shaken):
    inputs = tf.keras.layers.Input((4, 4, 8))
    return shaken(tf.keras.Model(inputs, BinaryConv2D(8, 3, name="convolution")(inputs)))


def _stage_one(shaken):
    inputs = tf.keras.layers.Input((4, 4, 8))
    x = BinaryConv2D(8, 3, binarize="activations", name="convolution")(RSign()(inputs))
    return shaken(tf.keras.Model(inputs, x))


def _dead_channel(shaken):
    inputs = tf.keras.layers.Input((4, 4, 8))
    model = tf.keras.Model(inputs, BinaryConv2D(8, 3, name="convolution")(RSign()(inputs)))
    kernel = shaken(model).get_layer("convolution").kernel
    kernel.assign(np.where(np.arange(8) == 3, 0.0, np.ones(kernel.shape)))
    return model


@pytest.mark.parametrize(
    ("build", "name", "reason"),
    [
        (_with_dense, "dense", "no binary operator for QuantDense"),
        (_real_input, "convolution", "no LceBconv2d in the file.*input must be a sign"),
        (_stage_one, "convolution", r"kernel is not binary \(binarize='activations'"),
        (_dead_channel, "convolution", "kernel has zeros"),
    ],
    ids=["dense", "real input", "stage one", "dead channel"],
)
def test_a_layer_that_stays_float_is_named(shaken, build, name, reason):
    model = build(shaken)
    with pytest.raises(UserError, match=f"layer '{name}' would be computed in float: .*{reason}"):
        to_lce(model)
    report = to_lce(model, strict=False).report
    assert [layer.name for layer in report.stayed_float()] == [name]
    assert "FLOAT" in str(report)


@pytest.mark.parametrize("bad", [3, None, "backbone.keras"])
def test_what_is_no_model_is_refused(bad):
    with pytest.raises(UserError, match=r"tf\.keras\.Model"):
        to_lce(bad)


def test_save_writes_the_whole_file(exported, tmp_path):
    path = tmp_path / "folder" / "model.tflite"
    exported.save(path)
    assert path.read_bytes() == exported.flatbuffer
    assert [entry.name for entry in path.parent.iterdir()] == ["model.tflite"]


def test_save_refuses_a_path_that_cannot_be_written(exported, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match=r"cannot write .*choose another `path`") as caught:
        exported.save(tmp_path / "file" / "model.tflite")
    assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match="cannot take the place of a folder"):
        exported.save(tmp_path)
    assert sorted(os.listdir(tmp_path)) == ["file"]


def test_no_space_leaves_nothing(exported, tmp_path, monkeypatch):
    def full(*arguments, **keywords):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(UserError, match=r"cannot write .*: No space left on device; choose"):
        exported.save(tmp_path / "a.tflite")
    assert list(tmp_path.iterdir()) == []


def test_report_is_json(exported):
    assert json.loads(exported.report.to_json())["num_binary"] == 2


def test_pixels_in_labels_inside(shaken):
    model = shaken(ReActNetTiny(input_shape=(16, 16, 3), classes=3))
    exported = to_lce(model, input_dtype="uint8", labels=["cat", "dog", "frog"])
    assert read_flatbuffer(exported.flatbuffer).inputs[0].dtype == "uint8"
    assert read_labels(exported.flatbuffer) == ("cat", "dog", "frog")
    pixels = np.random.default_rng(0).integers(0, 256, (8, 16, 16, 3)).astype(np.uint8)
    parity = verify(exported.flatbuffer, model, pixels)
    assert parity.median_abs_difference < 1e-4 and parity.num_binary_operators == 11


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"input_dtype": "int8"}, "`input_dtype` must be one of"),
        ({"labels": ["one"]}, "`labels` must be 7"),
    ],
)
def test_bad_arguments(arguments, message, larq_model):
    with pytest.raises(UserError, match=message):
        to_lce(larq_model(), **arguments)
