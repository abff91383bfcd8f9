"""The comparison of file and model: what passes, and what must not."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.export import to_lce, verify
from burn_tf.layers import BinaryConv2D, RSign


def test_agrees_on_random_images(exported, model, images):
    parity = verify(exported.flatbuffer, model, images)
    assert parity.num_images == 48 and parity.num_binary_operators == 2
    assert parity.top1_agreement == 1.0
    assert parity.max_abs_difference < 1e-3
    assert min(parity.mean_cosine, parity.median_cosine) >= parity.min_cosine > 0.99999


def test_the_outputs_are_not_all_alike(model, images):
    """Otherwise any file would agree."""
    assert len(np.unique(np.argmax(model(images), axis=1))) >= 3


def test_differences_are_measured(exported, larq_model, images):
    changed = larq_model()
    bias = changed.get_layer("top").bias
    bias.assign_add([0.0, 0.0, 0.25, 0.0, 0.0, 0.0, 0.0])
    parity = verify(exported.flatbuffer, changed, images)
    assert parity.max_abs_difference == pytest.approx(0.25, abs=1e-3)
    bias.assign([0.0, 0.0, 1e6, 0.0, 0.0, 0.0, 0.0])
    parity = verify(exported.flatbuffer, changed, images)
    expected = np.mean(np.argmax(larq_model()(images), axis=1) == 2)
    assert parity.top1_agreement == pytest.approx(expected)
    assert expected < 1.0


def test_cosine_is_that_of_the_outputs(exported, larq_model, images):
    changed, original = larq_model(), larq_model()
    changed.get_layer("top").bias.assign(np.linspace(-2.0, 2.0, 7))
    parity = verify(exported.flatbuffer, changed, images)
    ours, theirs = (np.asarray(m(images), np.float64) for m in (changed, original))
    cosines = [a @ b / np.sqrt((a @ a) * (b @ b)) for a, b in zip(ours, theirs, strict=True)]
    assert parity.mean_cosine == pytest.approx(np.mean(cosines), abs=1e-4)
    assert parity.median_cosine == pytest.approx(np.median(cosines), abs=1e-4)
    assert parity.min_cosine == pytest.approx(np.min(cosines), abs=1e-4)


def test_a_file_that_stayed_float_cannot_pass_for_lce(model, images):
    """TensorFlow's converter makes a float file whose outputs agree perfectly."""
    flatbuffer = tf.lite.TFLiteConverter.from_keras_model(model).convert()
    with pytest.raises(UserError, match="built-in operators only"):
        verify(flatbuffer, model, images, runtime="lce")


def test_a_file_for_lce_with_a_float_layer_is_refused(model, images):
    other = to_lce(model).flatbuffer.replace(b"LceBconv2d", b"LceBconvXX")
    with pytest.raises(UserError, match=r"2 binary layers as binary operators\. Received: 0"):
        verify(other, model, images)


def test_the_file_of_another_model_is_refused(exported, larq_model, images):
    with pytest.raises(UserError, match="Received: 0: 'binary_0' is not among them"):
        verify(exported.flatbuffer, larq_model(seed=1), images)


def test_a_partly_binary_file_needs_strict_to_be_off(images):
    inputs = tf.keras.layers.Input((10, 10, 3))
    binary = BinaryConv2D(40, 3)(RSign()(inputs))
    model = tf.keras.Model(inputs, BinaryConv2D(4, 3, name="real_input")(binary))
    flatbuffer = to_lce(model, strict=False).flatbuffer
    with pytest.raises(UserError, match="Received: 1: 'real_input' is not among them"):
        verify(flatbuffer, model, images)
    parity = verify(flatbuffer, model, images, strict=False)
    assert parity.num_binary_operators == 1 and parity.max_abs_difference < 1e-3


@pytest.mark.parametrize("shape", [(0, 10, 10, 3), (2, 12, 12, 3), (10, 10, 3), (2, 10, 10, 1)])
def test_images_must_fit_the_file(exported, model, shape):
    with pytest.raises(UserError, match=r"\[N, 10, 10, 3\]"):
        verify(exported.flatbuffer, model, np.zeros(shape))


def test_batch_size_changes_nothing(exported, model, images):
    small, whole = (verify(exported.flatbuffer, model, images[:9], batch_size=b) for b in (2, 9))
    assert small.max_abs_difference == pytest.approx(whole.max_abs_difference, abs=1e-4)


def test_report_is_plain_data(exported, model, images):
    data = verify(exported.flatbuffer, model, images[:2]).to_dict()
    assert data["num_images"] == 2 and data["notes"] == []


def test_outputs_are_compared_one_by_one(shaken):
    """A small output is not equal because another one is large; the answer is in the scores."""
    inputs = tf.keras.Input((8, 8, 3))
    maps = BinaryConv2D(16, 3)(RSign()(tf.keras.layers.Conv2D(16, 3)(inputs)))
    pooled = tf.keras.layers.GlobalAveragePooling2D()(maps)
    ends = [tf.keras.layers.Dense(4, name=name)(pooled) for name in ("boxes", "scores")]
    model = shaken(tf.keras.Model(inputs, ends))
    model.get_layer("boxes").bias.assign([1e4, 0.0, 0.0, 0.0])
    images = np.random.default_rng(0).normal(size=(12, 8, 8, 3))
    file = to_lce(model).flatbuffer
    parity = verify(file, model, images)
    assert parity.share_equal > 0.8 and parity.top1_agreement == 1.0
    # Far below 1e-4 of 1e4, far above 1e-4 of what the scores are.
    model.get_layer("scores").bias.assign_add([0.0, 0.0, 0.1, 0.0])
    assert verify(file, model, images).share_equal == 0.0
    model.get_layer("scores").bias.assign_add([0.0, 0.0, 99.0, 0.0])
    assert verify(file, model, images).top1_agreement < 1.0
