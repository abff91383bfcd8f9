"""Feature extraction: inference mode, any batch size, nothing in the backbone moves."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.backbones import ReActNetTiny
from burn_tf.data import Source
from burn_tf.evaluation import EvaluationData, extract_features, raw_pixels

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(21, 16, 16, 3)).astype(np.float32)


def _dataset(batch_size, images=IMAGES, labels=None):
    labels = np.arange(len(images), dtype=np.int64) if labels is None else labels
    return tf.data.Dataset.from_tensor_slices((images, labels)).batch(batch_size)


def _shaken(model):
    """Random shifts and statistics: with the initial ones batch norm in training mode hides."""
    rng = np.random.default_rng(1)
    for variable in model.variables:
        if "variance" in variable.name or "gamma" in variable.name:
            variable.assign(rng.uniform(0.5, 1.5, variable.shape))
        elif "kernel" not in variable.name:
            variable.assign(rng.normal(0.0, 0.3, variable.shape))
    return model


@pytest.fixture(scope="module")
def backbone():
    return _shaken(ReActNetTiny(input_shape=(16, 16, 3), include_top=False, pooling="avg"))


@pytest.mark.parametrize("batch_size", [1, 8, 64])
def test_do_not_depend_on_the_batch_size(backbone, batch_size):
    whole, _ = extract_features(backbone, _dataset(21))
    features, labels = extract_features(backbone, _dataset(batch_size))
    assert features.dtype == np.float32 and labels.dtype == np.int64
    np.testing.assert_allclose(features, whole, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(labels, np.arange(21))


def test_are_those_of_inference_mode(backbone):
    features, _ = extract_features(backbone, _dataset(21))
    np.testing.assert_allclose(features, backbone(IMAGES, training=False), rtol=1e-4, atol=1e-5)
    trained_mode = _shaken(tf.keras.models.clone_model(backbone))(IMAGES, training=True)
    assert np.abs(features - trained_mode).max() > 0.01


def test_leave_every_variable_untouched(backbone):
    before = [np.array(variable) for variable in backbone.variables]
    assert any("moving_mean" in variable.name for variable in backbone.variables)
    extract_features(backbone, _dataset(8))
    for old, variable in zip(before, backbone.variables, strict=True):
        np.testing.assert_array_equal(old, variable.numpy(), err_msg=variable.name)


def test_half_precision_becomes_float32():
    features, _ = extract_features(lambda x: tf.cast(raw_pixels(x), tf.bfloat16), _dataset(8))
    assert features.dtype == np.float32
    np.testing.assert_allclose(features, IMAGES.reshape(21, -1), rtol=1e-2, atol=1e-2)


def test_a_data_set_of_unknown_length_is_read_to_its_end():
    dataset = _dataset(2).filter(lambda images, labels: labels[0] != 4)
    assert int(dataset.cardinality()) == tf.data.UNKNOWN_CARDINALITY
    features, labels = extract_features(raw_pixels, dataset)
    kept = [index for index in range(21) if index not in (4, 5)]
    np.testing.assert_array_equal(labels, kept)
    np.testing.assert_array_equal(features, IMAGES[kept].reshape(19, -1))


def test_missing_labels_are_minus_one(make_source):
    source = make_source(np.zeros((3, 8, 8, 3), np.uint8), None)
    data = EvaluationData(source, source, image_size=8)
    assert extract_features(raw_pixels, data.datasets()[0])[1].tolist() == [-1, -1, -1]


def test_raw_pixels_keep_their_order():
    images = tf.reshape(tf.range(24.0), [2, 2, 2, 3])
    np.testing.assert_array_equal(raw_pixels(images), np.arange(24.0).reshape(2, 12))


@pytest.mark.parametrize(
    ("backbone_", "message"),
    [
        (lambda x: x, r"pooling='avg'.*shape \(8, 16, 16, 3\)"),
        (lambda x: [raw_pixels(x)] * 2, "more than one output"),
        (lambda x: raw_pixels(x) / 0.0, "finite"),
    ],
    ids=["rank 4", "two outputs", "infinite"],
)
def test_refuses_what_is_no_feature(backbone_, message):
    with pytest.raises(UserError, match=message):
        extract_features(backbone_, _dataset(8))


def test_refuses_an_empty_data_set():
    with pytest.raises(UserError, match="at least one batch"):
        extract_features(raw_pixels, _dataset(8).take(0))


@pytest.mark.parametrize("argument", ["image_size", "batch_size"])
@pytest.mark.parametrize("value", [0, 2.5, True])
def test_evaluation_data_checks_its_numbers(make_source, argument, value):
    source: Source = make_source(np.zeros((2, 8, 8, 3), np.uint8), np.array([0, 1]))
    with pytest.raises(UserError, match=argument):
        EvaluationData(source, source, **({"image_size": 8} | {argument: value}))
