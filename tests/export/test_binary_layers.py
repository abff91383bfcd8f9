"""Which layers are binary, and how the signs of a filter are recognised in a file."""

from __future__ import annotations

import larq
import numpy as np
import pytest
import tensorflow as tf

from burn_tf.backbones import ReActNetTiny
from burn_tf.export.binary_layers import binary_layers, match_layers, quantised_kernel
from burn_tf.export.flatbuffer import TFLiteGraph, TFLiteOperator, TFLiteTensor, read_flatbuffer


def _operator(words, shape, name="LceBconv2d"):
    data = np.array(words, "<u4").tobytes()
    output = TFLiteTensor("out", (1, 5, 4, shape[0]), "float32", b"")
    return TFLiteOperator(name, (None, TFLiteTensor("filter", shape, "int32", data)), (output,))


def _graph(*operators):
    return TFLiteGraph(tuple(operators), (), ())


def _one_layer(kernel):
    """A model of one binary 1x1 convolution with the given latent kernel [in, out]."""
    model = tf.keras.Sequential(
        [
            tf.keras.layers.InputLayer((5, 4, kernel.shape[0])),
            larq.layers.QuantConv2D(
                kernel.shape[1],
                1,
                use_bias=False,
                input_quantizer="ste_sign",
                kernel_quantizer="ste_sign",
                kernel_constraint="weight_clip",
                name="binary",
            ),
        ]
    )
    model.set_weights([kernel[None, None].astype(np.float32)])
    return model


# Channel 0: -+++++ (bit 0 set), channel 1: ++-+-+ (bits 2 and 4), least significant bit first.
KERNEL = np.array([[-0.1, 1, 1, 0.2, 1, 1], [1, 1, -0.3, 1, -1, 1]]).T


def test_bits_of_a_filter_are_one_where_it_is_negative():
    report = match_layers(_one_layer(KERNEL), _graph(_operator([0b000001, 0b010100], (2, 1, 1, 1))))
    assert len(report) == 1
    assert report[0].became_binary and report[0].name == "binary"
    assert report[0].macs == 5 * 4 * 2 * 6
    assert report[0].binary_bytes == 8


def test_a_flipped_output_channel_is_the_same_filter():
    flipped = _operator([0b111110, 0b010100], (2, 1, 1, 1))
    assert match_layers(_one_layer(KERNEL), _graph(flipped))[0].became_binary


@pytest.mark.parametrize(
    "operator",
    [
        _operator([0b000011, 0b010100], (2, 1, 1, 1)),
        _operator([0b010100, 0b000001], (2, 1, 1, 1)),
        _operator([0b000001, 0b010100, 0], (3, 1, 1, 1)),
        _operator([0b000001, 0b010100, 0, 0], (2, 1, 1, 2)),
        _operator([0b000001, 0b010100], (2, 1, 1, 1), name="CONV_2D"),
    ],
    ids=["one bit", "channels exchanged", "more channels", "wider input", "no binary operator"],
)
def test_any_other_filter_is_not(operator):
    (report,) = match_layers(_one_layer(KERNEL), _graph(operator))
    assert not report.became_binary and "no LceBconv2d" in report.reason


def test_more_than_a_word_of_input_channels():
    kernel = np.ones((33, 1))
    kernel[[0, 31, 32]] = -1.0
    operator = _operator([0x80000001, 0x1], (1, 1, 1, 2))
    assert match_layers(_one_layer(kernel), _graph(operator))[0].became_binary
    operator = _operator([0x80000001, 0x0], (1, 1, 1, 2))
    assert not match_layers(_one_layer(kernel), _graph(operator))[0].became_binary


def test_an_operator_serves_one_layer_only():
    inner = _one_layer(KERNEL)
    twice = tf.keras.Sequential([inner, tf.keras.layers.Lambda(lambda x: tf.tile(x, [1, 1, 1, 3]))])
    second = _one_layer(KERNEL)
    both = tf.keras.Model(inner.inputs, second(twice(inner.inputs[0])))
    operator = _operator([0b000001, 0b010100], (2, 1, 1, 1))
    assert [r.became_binary for r in match_layers(both, _graph(operator))] == [True, False]
    assert all(r.became_binary for r in match_layers(both, _graph(operator, operator)))


def test_a_file_of_other_weights_does_not_match(larq_model, exported):
    other = larq_model(seed=1)
    reports = match_layers(other, read_flatbuffer(exported.flatbuffer))
    assert [report.became_binary for report in reports] == [False, False]


def test_only_binary_layers_are_listed(model):
    assert [layer.name for layer in binary_layers(model)] == ["binary_0", "binary_1"]
    outer = tf.keras.Sequential([model, tf.keras.layers.Dense(3)])
    assert [layer.name for layer in binary_layers(outer)] == ["binary_0", "binary_1"]
    assert binary_layers(tf.keras.Sequential([tf.keras.layers.Dense(3, input_shape=(2,))])) == []


def test_layers_of_ours_are_listed_in_every_mode():
    counts = {
        mode: len(binary_layers(ReActNetTiny(input_shape=(16, 16, 3), binarize=mode)))
        for mode in ("none", "activations", "both")
    }
    assert counts["none"] == counts["activations"] == counts["both"] > 0


def test_quantised_kernel_is_sign_times_mean_magnitude():
    model = ReActNetTiny(input_shape=(16, 16, 3))
    layer = binary_layers(model)[0]
    latent = np.random.default_rng(0).normal(size=layer.kernel.shape)
    layer.kernel.assign(latent)
    expected = np.where(latent >= 0, 1.0, -1.0) * np.abs(latent).mean(axis=(0, 1, 2))
    np.testing.assert_allclose(np.asarray(quantised_kernel(layer)), expected, rtol=1e-5)
