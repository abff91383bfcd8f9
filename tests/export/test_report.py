"""The report of an export."""

from __future__ import annotations

import json

from burn_tf.export import ExportReport, LayerReport

REPORT = ExportReport(
    runtime="lce",
    layers=(
        LayerReport("first", True, "LceBconv2d", 1200, 8),
        LayerReport("second", False, "its kernel is not binary", 0, 0),
    ),
    operators={"LceBconv2d": 1, "CONV_2D": 2},
    size_bytes=4096,
    float_weight_bytes=131072,
    notes=("rebuilt in float32",),
)


def test_counts():
    assert REPORT.num_binary == 1
    assert [layer.name for layer in REPORT.stayed_float()] == ["second"]


def test_text_names_every_layer_and_note():
    lines = str(REPORT).splitlines()
    assert lines[0].startswith("1 of 2 binary layers") and "4,096 bytes" in lines[0]
    assert "first" in lines[1] and "binary" in lines[1] and "1,200 MACs" in lines[1]
    assert "second" in lines[2] and "FLOAT" in lines[2] and "not binary" in lines[2]
    assert lines[3] == "rebuilt in float32"


def test_json_holds_everything():
    data = json.loads(REPORT.to_json())
    assert data["num_binary"] == 1 and data["operators"] == {"LceBconv2d": 1, "CONV_2D": 2}
    assert data["layers"][1]["reason"] == "its kernel is not binary"
