"""Boxes and scores of every anchor: as KerasCV decodes them, in Keras and in files."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.backbones import ReActNetTiny
from burn_tf.detection import Detector
from burn_tf.detection.raw_outputs import AnchorBoxes
from burn_tf.export import ExportedModel, read_labels, to_lce, to_litert, verify
from burn_tf.export.flatbuffer import read_flatbuffer
from burn_tf.export.runtime import load_runtime
from tests.detection.made_boxes import NAMES

# 8, 4, 2, 1 and 1 places a side, nine anchors each.
ANCHORS = 9 * (64 + 16 + 4 + 1 + 1)


def pixels(count: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (count, 64, 64, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def detector() -> Detector:
    """Untrained; shifts, norms and heads are such that nothing vanishes or is alike."""
    tf.keras.utils.set_random_seed(0)
    backbone = ReActNetTiny(include_top=False, stem_strides=2)
    made = Detector.of(backbone, NAMES, 64, width=8, depth=1, anchor_size=12.0)
    rng = np.random.default_rng(0)
    for weight in made.model.feature_extractor.weights:
        if any(word in weight.name for word in ("shift", "beta", "mean")):
            weight.assign(rng.normal(0.0, 0.3, weight.shape))
    for head in (made.model.classification_head, made.model.box_head):
        last = head.layers[-1]
        last.kernel.assign(rng.normal(0.0, 0.3, last.kernel.shape))
        last.bias.assign(rng.normal(-1.0, 1.0, last.bias.shape))
    return made


def kerascv_boxes(detector: Detector, deltas: np.ndarray) -> np.ndarray:
    """Pixels [B, A, 4] by KerasCV's decoder, which the library uses for detections."""
    from keras_cv.src.bounding_box.converters import _decode_deltas_to_boxes

    anchors = detector.model.anchor_generator(image_shape=(64, 64, 3))
    corners = np.concatenate([np.asarray(level) for level in anchors.values()])
    variance = [0.1, 0.1, 0.2, 0.2]
    return np.asarray(_decode_deltas_to_boxes(corners, deltas, "xyxy", "xyxy", variance))


def test_boxes_are_kerascvs_as_shares_of_the_side(detector):
    deltas = np.random.default_rng(2).normal(0, 3, (2, ANCHORS, 4)).astype(np.float32)
    boxes = AnchorBoxes(64, 12.0)(deltas)
    np.testing.assert_allclose(boxes * 64.0, kerascv_boxes(detector, deltas), rtol=1e-4, atol=1e-3)


def test_one_box_by_hand():
    """The first anchor's centre is (4, 4), its sides 12 / sqrt(2) by 12 * sqrt(2), cut at 0."""
    deltas = np.zeros((1, ANCHORS, 4), np.float32)
    # Down by a tenth of the anchor's height; twice as wide; absurdly high.
    deltas[0, 0] = [1.0, 0.0, 99.0, np.log(2.0) / 0.2]
    found = np.asarray(AnchorBoxes(64, 12.0)(deltas))[0] * 64
    plain = np.asarray(AnchorBoxes(64, 12.0)(np.zeros_like(deltas)))[0] * 64
    left, top, right, bottom = plain[0]
    assert (left, top) == (0.0, 0.0) and right > 4 and bottom > 4
    assert right * bottom == pytest.approx((4 + 12 / 2**1.5) * (4 + 12 / 2**0.5), rel=1e-4)
    wide, high = found[0, 2:] - found[0, :2]
    assert wide == pytest.approx(2 * right, rel=1e-5)
    assert high == pytest.approx(bottom * 62.5, rel=1e-4)
    assert (found[0, 1] + found[0, 3]) / 2 == pytest.approx(0.6 * bottom, rel=1e-3)
    np.testing.assert_array_equal(found[1:], plain[1:])


def test_a_model_is_made_again_from_its_configuration(detector):
    model = detector.exported_model()
    again = tf.keras.Model.from_config(model.get_config())
    again.set_weights(model.get_weights())
    images = np.random.default_rng(0).normal(size=(2, 64, 64, 3)).astype(np.float32)
    for one, other in zip(model(images), again(images), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    assert model.output_names == again.output_names == ["boxes", "scores"]


def exported(detector: Detector, target: str) -> ExportedModel:
    return to_lce(detector, input_dtype="uint8") if target == "lce" else to_litert(detector)


@pytest.mark.parametrize("target", ["lce", "litert"])
def test_files_give_boxes_and_scores_of_all_anchors(detector, target):
    result, images = exported(detector, target), pixels(24)
    assert result.report.num_binary == len(result.report.layers) == 11
    assert result.report.notes == () and read_labels(result.flatbuffer) == NAMES
    loaded = load_runtime(result.flatbuffer)
    assert loaded.input_dtype == np.uint8
    assert loaded.output_shapes == ((1, ANCHORS, 4), (1, ANCHORS, 3))
    boxes, scores = loaded.run_all(images)
    assert 0 < scores.min() < 0.2 < 0.8 < scores.max() < 1 and boxes.std(axis=0).min() > 0
    parity = verify(result.flatbuffer, detector, images)
    assert parity.num_binary_operators == 11 and parity.median_abs_difference < 1e-4
    assert parity.share_equal > 0.7


def test_a_file_for_the_stock_runtime_has_signs_as_bits(detector):
    operators = to_litert(detector).report.operators
    assert operators["CEIL"] == 8 and operators["LOGISTIC"] == 1
    assert not {"SIGN", "PAD", "PADV2", "LESS", "SELECT_V2"} & set(operators)


def test_the_surest_box_is_the_surest_detection(detector):
    """The surest box of a file is the surest detection, in the picture's pixels."""
    images = pixels(1)
    boxes, scores = (out[0] for out in load_runtime(to_litert(detector).flatbuffer).run_all(images))
    found = detector.detect(list(images))[0]
    assert len(found) > 20
    best = found.scores[0]
    anchor, number = np.unravel_index(scores.argmax(), scores.shape)
    assert scores[anchor, number] == pytest.approx(best, abs=1e-4) and number == found.classes[0]
    np.testing.assert_allclose(np.clip(boxes[anchor] * 64, 0, 64), found.boxes[0], atol=0.01)


def test_integers_but_for_the_boxes(detector):
    """The network is in integers, heads on five maps too; boxes are made of them in float."""
    images = pixels(24)
    result = to_litert(detector, precision="int8", calibration=images)
    assert result.report.notes == ("boxes are made of the integers in float",)
    assert read_labels(result.flatbuffer) == NAMES
    operators = read_flatbuffer(result.flatbuffer).operators
    floats = Counter(
        operator.name
        for operator in operators
        if any(t is not None and t.dtype == "float32" for t in operator.outputs)
    )
    assert floats.pop("DEQUANTIZE") == 3
    assert floats.keys() == {"MUL", "EXP", "ADD", "SUB", "STRIDED_SLICE", "CONCATENATION"}
    loaded = load_runtime(result.flatbuffer)
    assert loaded.input_dtype == np.uint8
    assert loaded.output_shapes == ((1, ANCHORS, 4), (1, ANCHORS, 3))
    assert verify(result.flatbuffer, detector, images).median_cosine > 0.9


def test_boxes_in_eight_bits_are_refused(detector):
    with pytest.raises(UserError, match="`output_dtype` must be 'float32' for a detector"):
        to_litert(detector, precision="int8", calibration=pixels(2), output_dtype="int8")
