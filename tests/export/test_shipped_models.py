"""The zoo's weights and ReActNet-A at full width as files of every kind, on photographs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from burn_tf import zoo
from burn_tf.backbones import ReActNetA, count_macs
from burn_tf.data import eval_dataset, load_source, preprocess_input
from burn_tf.export import ExportedModel, to_lce, to_litert, verify
from burn_tf.export.comparison import sample_pictures
from burn_tf.export.flatbuffer import TFLiteTensor, read_flatbuffer
from burn_tf.export.runtime import load_runtime
from burn_tf.layers import BinaryConv2D

pytestmark = pytest.mark.slow
_BATCH = 100
_RIDGE = 100.0


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


@pytest.mark.parametrize(("width", "pad_values"), [(0.25, 1.0), (0.5, 0.0)])
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
    assert compact.report.size_bytes < 29e6
    assert sum("int4" in layer.reason for layer in compact.report.layers) == 1
    assert sum(layer.macs for layer in compact.report.layers) == count_macs(model).binary
    kernels = [kernel(operator) for operator in read_flatbuffer(compact.flatbuffer).operators]
    # Of 10,912 output channels the largest kernel has 1,024.
    assert sum(k.shape[0] for k in kernels if k is not None and k.dtype == "int8") == 9_888


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


def read(cifar10: str, split: str, count: int) -> tuple[np.ndarray, np.ndarray]:
    """uint8 pixels and labels of images at equal distances."""
    source = load_source(cifar10, split=split)
    places = np.linspace(0, source.num_images - 1, count).astype(int)
    batches = eval_dataset(source.subset(places), image_size=32, batch_size=_BATCH, normalise=False)
    images, labels = zip(*batches, strict=True)
    return np.concatenate(images), np.concatenate(labels)


def keras_outputs(model: tf.keras.Model, pictures: np.ndarray) -> np.ndarray:
    forward = tf.function(lambda x: model(preprocess_input(x), training=False))
    starts = range(0, len(pictures), _BATCH)
    return np.concatenate([forward(tf.constant(pictures[i : i + _BATCH])) for i in starts])


def with_linear_head(
    backbone: tf.keras.Model, pictures: np.ndarray, labels: np.ndarray
) -> tf.keras.Model:
    """Ridge regression of +1 for the class and 0 for the others, in closed form."""
    features = keras_outputs(backbone, pictures).astype(np.float64)
    mean, scale = features.mean(axis=0), features.std(axis=0) + 1e-6
    given, wanted = (features - mean) / scale, np.eye(10)[labels] - 0.1
    weights = np.linalg.solve(given.T @ given + _RIDGE * np.eye(given.shape[1]), given.T @ wanted)
    kernel = weights / scale[:, None]
    top = tf.keras.layers.Dense(10, name="top")
    model = tf.keras.Model(backbone.input, top(backbone.output))
    top.set_weights([kernel, 0.1 - mean @ kernel])
    return model


def test_integers_cost_at_most_a_point_on_cifar10(cifar10: str) -> None:
    """Trained weights, real photographs, ranges measured on training images only.

    Of the files that compute in float the compact one is taken: the other takes four times as long.
    """
    pictures, labels = read(cifar10, "train", 2000)
    model = with_linear_head(zoo.load("burn_reactnet_a", pooling="avg"), pictures, labels)
    files = {
        "compact": to_litert(model),
        "int8": to_litert(model, precision="int8", calibration=pictures[::20]),
    }
    test_pictures, answers = read(cifar10, "test", 4000)
    outputs = {n: load_runtime(f.flatbuffer).run(test_pictures) for n, f in files.items()}
    outputs["Keras"] = keras_outputs(model, test_pictures)
    top1 = {n: 100 * float(np.mean(o.argmax(axis=1) == answers)) for n, o in outputs.items()}
    print("top-1 in %:", {name: round(value, 2) for name, value in top1.items()})
    assert top1["Keras"] > 35, top1
    assert abs(top1["compact"] - top1["Keras"]) <= 0.3, top1
    assert top1["int8"] >= max(top1["Keras"], top1["compact"]) - 1.0, top1
