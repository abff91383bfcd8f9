"""The table of one model as every kind of file."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from burn_tf import backbones
from burn_tf._checks import UserError
from burn_tf.data import preprocess_input
from burn_tf.export import comparison
from burn_tf.export.comparison import TARGETS, compare_targets, sample_pictures
from tests.export import stock_files


def _with_varied_answers(model: tf.keras.Model, side: int) -> tf.keras.Model:
    """The model with its mean output subtracted: one class would win everywhere."""
    values = preprocess_input(sample_pictures(16, side, side))
    model.layers[-1].bias.assign_sub(np.mean(model(values), axis=0))
    assert len(np.unique(np.argmax(model(values), axis=1))) >= 3
    return model


@pytest.fixture(scope="module")
def tiny(shaken) -> tf.keras.Model:
    model = backbones.ReActNetTiny(input_shape=(32, 32, 3), classes=10)
    return _with_varied_answers(shaken(model), 32)


@pytest.fixture(scope="module")
def small(larq_model) -> tf.keras.Model:
    return _with_varied_answers(larq_model(), 10)


def test_pictures_are_photographs_and_always_the_same():
    pictures = sample_pictures(4, 24, 16)
    assert pictures.shape == (4, 24, 16, 3) and pictures.dtype == np.uint8
    np.testing.assert_array_equal(pictures, sample_pictures(4, 24, 16))
    # Of noise, neighbours would not be alike.
    pixels = pictures.astype(float)
    assert np.abs(np.diff(pixels, axis=2)).mean() < 0.5 * pixels.std()
    assert len(np.unique(pixels.mean(axis=(1, 2, 3)))) == 4


def test_lce_beside_keras(small):
    keras, lce = compare_targets(small, targets=["LCE"], runs=5, warmup=1)
    assert keras.name == "Keras" and keras.size_bytes == 4 * small.count_params()
    assert (keras.latency.threads, lce.latency.threads, lce.latency.runs) == (0, 1, 5)
    assert lce.size_bytes < keras.size_bytes / 2
    assert lce.top1_agreement == 1.0 and 0 < lce.median_abs_difference < 1e-2


def test_a_file_that_differs_is_seen(small, larq_model, monkeypatch):
    """A file of the same model with another bias in its last layer."""

    def other(model, pictures, size) -> bytes:
        changed = larq_model()
        changed.set_weights(model.get_weights())
        changed.layers[-1].bias.assign_add([1000.0] + [0.0] * 6)
        return TARGETS["LCE"](changed, pictures, size)

    monkeypatch.setattr(comparison, "TARGETS", {"other": other})
    values = preprocess_input(sample_pictures(16, 10, 10))
    answers = np.argmax(small(values), axis=1)
    row = compare_targets(small, targets=["other"], runs=1)[1]
    assert row.max_abs_difference == pytest.approx(1000.0, rel=1e-3)
    assert row.top1_agreement == pytest.approx(np.mean(answers == 0)) and row.top1_agreement < 1


@pytest.mark.parametrize("name", [name for name in TARGETS if name != "LCE"])
def test_stock_files(name, tiny):
    row = compare_targets(tiny, targets=[name], runs=2, warmup=0)[1]
    assert row.latency is not None, row.note
    assert row.size_bytes < 1.2 * 4 * tiny.count_params() + 100_000
    if name != "LiteRT int8":
        assert row.top1_agreement == 1.0
        assert row.median_abs_difference < 1e-2


def test_a_target_that_refuses_the_model_says_why(small, monkeypatch):
    def refuse(model, pictures, size) -> bytes:
        raise UserError("`model` is too wide. Received: 9")

    monkeypatch.setattr(comparison, "TARGETS", {"LCE": TARGETS["LCE"], "narrow": refuse})
    rows = compare_targets(small, targets=["LCE", "narrow"], runs=1)
    assert [row.name for row in rows] == ["Keras", "LCE", "narrow"]
    assert rows[2].latency is None and rows[2].note == "`model` is too wide. Received: 9"


def test_arguments(small):
    with pytest.raises(UserError, match="Did you mean 'LCE'"):
        compare_targets(small, targets=["LCF"])
    for bad in (np.zeros([0, 10, 10, 3], np.uint8), np.zeros([1, 9, 10, 3], np.uint8)):
        with pytest.raises(UserError, match=r"`pictures` must be uint8 \[N, 10, 10, 3\]"):
            compare_targets(small, targets=["LCE"], pictures=bad)
    with pytest.raises(UserError, match="binary layers"):
        compare_targets(stock_files.float_model())


def test_a_model_with_two_outputs_is_refused(small):
    double = tf.keras.Model(small.input, [small.output, small.layers[-2].output])
    with pytest.raises(UserError, match=r"give one output\. Received: 3 channels and 2 outputs"):
        compare_targets(double)
