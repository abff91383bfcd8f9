"""The protocol from two splits with boxes to figures, file and pictures."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.backbones import ReActNetTiny
from burn_tf.data import Objects
from burn_tf.detection import Detector, DetectorTraining
from burn_tf.evaluation import DetectionProbe, EvaluationData, Result, raw_pixels
from burn_tf.evaluation.detect import DETECTOR_FILE
from tests.detection.made_boxes import NAMES, made_boxes

pytest.importorskip("pycocotools", reason="AP needs the extra burn_tf[detection]")
SHORT = DetectorTraining(epochs=2, decay_epochs=(1,), batch_size=4, min_scale=1.0)


def splits(**words) -> EvaluationData:
    test = dataclasses.replace(made_boxes(number=3, seed=1, empty=(1,)), split="test")
    return EvaluationData(made_boxes(number=4, empty=(0,)), test, 64, **words)


def test_run(tmp_path, capsys):
    tf.keras.utils.set_random_seed(0)
    backbone = ReActNetTiny((64, 64, 3), include_top=False, pooling="avg", stem_strides=2)
    before = [variable.numpy() for variable in backbone.variables]
    probe = DetectionProbe(training=SHORT, width=8, depth=1)
    data = splits(output=tmp_path)
    result = probe.run(backbone, data)
    assert result.protocol == "detect:voc"
    assert set(result.metrics) == {"ap", "ap50", "ap75", "ap50_voc07"}
    assert Result.from_json(result.to_json()) == result
    facts = result.provenance
    assert facts["images_without_objects"] == {"train": 1, "test": 1}
    assert facts["settings"]["training"]["epochs"] == 2 and len(facts["loss_by_epoch"]) == 2
    assert facts["data"]["resize"].startswith("long side to 64 px")
    assert {row["class"] for row in facts["classes"]} <= set(NAMES)
    shown = capsys.readouterr().err.splitlines()
    assert [line.partition(": loss")[0] for line in shown if line.startswith("detect:voc")] == [
        "detect:voc: epoch 1 of 2",
        "detect:voc: epoch 2 of 2",
    ]
    for old, variable in zip(before, backbone.variables, strict=True):
        np.testing.assert_array_equal(old, variable.numpy())
    _is_drawn(result, tmp_path, data)
    # The file is the detector that was scored.
    again = Detector.load(tmp_path / DETECTOR_FILE).detect_source(data.test)
    assert sum(map(len, again)) == facts["num_detections"]


def _is_drawn(result: Result, folder, data: EvaluationData) -> None:
    from burn_tf.report.run_report import detection_sections
    from burn_tf.report.runs import read_runs

    path = folder / "result.json"
    path.write_text(result.to_json(), encoding="utf-8")
    (section,) = detection_sections(read_runs([path]).records)
    assert [p.caption.partition(":")[0] for p in section.pictures] == [
        "00000.png",
        "00001.png",
        "00002.png",
    ]
    entries = json.loads(path.read_text(encoding="utf-8"))["provenance"]["detections"]
    truths = [[box for box in entry["boxes"] if box["truth"]] for entry in entries]
    assert [len(boxes) for boxes in truths] == [len(found) for found in data.test.objects]
    first = data.test.objects[0]
    assert truths[0][0]["name"] == NAMES[first.classes[0]]
    assert [truths[0][0][edge] for edge in ("left", "top", "right", "bottom")] == list(
        first.boxes[0]
    )


def test_defaults_are_methods_mds_and_json_types():
    config = DetectionProbe().get_config()
    assert json.loads(json.dumps(config)) == config
    training = config["training"]
    assert (training["epochs"], training["decay_epochs"]) == (24, [18, 22])
    assert (training["learning_rate"], training["batch_size"]) == (0.01, 16)


def _without_objects(source):
    return dataclasses.replace(source, objects=tuple(Objects.of([], []) for _ in source.objects))


@pytest.mark.parametrize(
    ("side", "change", "message"),
    [
        ("test", lambda s: dataclasses.replace(s, objects=()), r"needs boxes.*\(test\)"),
        ("train", _without_objects, "`train` must have an object"),
        ("test", _without_objects, "`test` must have an object"),
        ("test", lambda s: dataclasses.replace(s, class_names=("a",)), "the same classes"),
    ],
)
def test_data_that_cannot_be_used(side, change, message):
    data = splits()
    data = dataclasses.replace(data, **{side: change(getattr(data, side))})
    with pytest.raises(UserError, match=message):
        DetectionProbe(training=SHORT).run(raw_pixels, data)


def test_an_output_that_is_a_file_is_refused_before_any_training(tmp_path):
    path = tmp_path / "taken"
    path.write_text("")
    with pytest.raises(UserError, match=r"`output` must be a folder.*taken"):
        DetectionProbe(training=SHORT).check(splits(output=path))


def test_a_backbone_without_levels_is_refused_before_any_training():
    with pytest.raises(UserError, match=r"`backbone` must .*'raw_pixels' with the levels none"):
        DetectionProbe(training=SHORT).run(raw_pixels, splits())
