"""The zoo's weights and ReActNet-A at full width as files of every kind, on photographs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from burn_tf import zoo
from burn_tf.backbones import ReActNetA, count_macs
from burn_tf.export import ExportedModel, to_lce, to_litert, verify
from burn_tf.export.comparison import sample_pictures
from burn_tf.export.flatbuffer import TFLiteTensor, read_flatbuffer
from burn_tf.layers import BinaryConv2D

pytestmark = pytest.mark.slow


def files(model: tf.keras.Model, pictures: np.ndarray) -> dict[str, ExportedModel]:
    return {
        "lce": to_lce(model, input_dtype="uint8"),
        "compact": to_litert(model),
        "int8": to_litert(model, precision="int8", calibration=pictures),
    }


@pytest.mark.parametrize("name", zoo.list_models())
def test_every_file_of_the_zoo_agrees_with_keras(name: str) -> None:
    model = zoo.load(name, pooling="avg")
    pictures = sample_pictures(24, *model.input_shape[1:3])
    for kind, exported in files(model, pictures).items():
        parity = verify(exported.flatbuffer, model, pictures)
        assert parity.num_binary_operators == 31
        if kind == "int8":
            assert parity.median_cosine > 0.9
        else:
            assert parity.median_abs_difference < 1e-4 and parity.share_equal > 0.8


@pytest.mark.parametrize("width", [0.25, 0.5])
@pytest.mark.parametrize("pad_values", [0.0, 1.0])
def test_widths_with_and_without_a_top(width: float, pad_values: float, shaken: Any) -> None:
    settings = {"width": width, "pad_values": pad_values, "include_top": width == 0.25}
    model = shaken(ReActNetA((64, 64, 3), classes=10, **settings))
    pictures = sample_pictures(8, 64, 64)
    for kind, exported in files(model, pictures).items():
        assert exported.report.num_binary == 31
        if kind != "int8":
            assert verify(exported.flatbuffer, model, pictures).median_cosine > 0.999


def test_full_width_at_224_px(shaken: Any) -> None:
    """31 binary convolutions, at most 57 additions, and a size that can be predicted."""
    model = shaken(ReActNetA((224, 224, 3)))
    lce = to_lce(model)
    assert lce.report.operators["LceBconv2d"] == lce.report.num_binary == 31
    assert lce.report.operators["ADD"] <= 57
    assert lce.report.size_bytes == pytest.approx(predicted_lce_bytes(model), rel=0.02)
    compact = to_litert(model)
    assert compact.report.num_binary == 31
    assert sum(layer.macs for layer in compact.report.layers) == count_macs(model).binary
    kernels = [kernel(operator) for operator in read_flatbuffer(compact.flatbuffer).operators]
    assert sum(k.shape[0] for k in kernels if k is not None and k.dtype == "int8") > 10_000


def kernel(operator: Any) -> TFLiteTensor | None:
    return operator.inputs[1] if operator.name == "CONV_2D" else None


def predicted_lce_bytes(model: tf.keras.Model) -> int:
    """A bit per binary weight; 4 bytes for each other value that no fold takes away.

    These are a scale and an offset for each output of a convolution, a slope for each channel of an
    activation, a shift for each sign but the first, and the ends of the network.
    """
    convolutions = [layer for layer in model.layers if isinstance(layer, BinaryConv2D)]
    bits = sum(int(np.prod(layer.kernel.shape)) for layer in convolutions)
    channels = sum(layer.filters for layer in convolutions)
    slopes = sum(int(w.shape[0]) for w in model.weights if "slope" in w.name)
    shifts = sum(int(w.shape[0]) for w in model.weights if w.name.endswith("sign_1/shift:0"))
    shifts += sum(int(w.shape[0]) for w in model.weights if w.name.endswith("sign_2/shift:0"))
    ends = [model.get_layer("stem_conv").kernel, *model.layers[-1].weights]
    stem = 2 * model.get_layer("stem_conv").filters
    others = 2 * channels + slopes + shifts + stem + sum(int(np.prod(w.shape)) for w in ends)
    return bits // 8 + 4 * others
