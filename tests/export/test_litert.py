"""Files for the stock runtime: what is in them, and that they compute what Keras does."""

from __future__ import annotations

from typing import Any

import larq
import numpy as np
import pytest
import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.backbones import ReActNetTiny
from burn_tf.data import preprocess_input
from burn_tf.export import read_labels, to_litert, verify
from burn_tf.export.flatbuffer import read_flatbuffer
from burn_tf.export.runtime import load_runtime, runtime_of
from burn_tf.layers import BatchNorm, BinaryConv2D, Rotate180, RPReLU, RSign

Layers = tf.keras.layers
LABELS = [f"class {i}" for i in range(10)]


def pixels(count: int, *size: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (count, *size, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def tiny(shaken: Any) -> tf.keras.Model:
    return shaken(ReActNetTiny((16, 16, 3), classes=10))


@pytest.fixture(scope="module", params=["compact", "float32", "int8"])
def exported(request: Any, tiny: tf.keras.Model) -> Any:
    return request.param, to_litert(
        tiny, precision=request.param, calibration=pixels(32, 16, 16), labels=LABELS
    )


def test_every_binary_layer_is_found(exported: Any) -> None:
    precision, result = exported
    report = result.report
    assert report.runtime == runtime_of(result.flatbuffer) == "litert"
    assert report.num_binary == len(report.layers) == 11
    kind = "float32" if precision == "float32" else "int8"
    assert {layer.reason for layer in report.layers} == {f"CONV_2D, {kind} weights"}
    first = report.layers[0]
    assert first.macs == 16 * 16 * 8 * 8 * 9
    assert first.binary_bytes == 8 * 8 * 9 * (4 if precision == "float32" else 1)


def test_bits_cost_no_padding_and_no_sign(exported: Any) -> None:
    precision, result = exported
    operators = result.report.operators
    assert not {"PAD", "PADV2", "SIGN", "LESS", "SELECT_V2"} & set(operators)
    assert operators["SUB"] == 8
    if precision != "int8":
        assert operators["MINIMUM"] == operators["CEIL"] == operators["PRELU"] == 8


def test_pixels_in_scores_out_labels_inside(exported: Any) -> None:
    _, result = exported
    loaded = load_runtime(result.flatbuffer)
    assert loaded.input_shape == (1, 16, 16, 3) and loaded.input_dtype == np.dtype(np.uint8)
    assert loaded.run(pixels(2, 16, 16)).shape == (2, 10)
    assert list(read_labels(result.flatbuffer)) == LABELS


def test_agrees_with_keras(exported: Any, tiny: tf.keras.Model) -> None:
    precision, result = exported
    parity = verify(result.flatbuffer, tiny, pixels(64, 16, 16))
    if precision == "int8":
        assert parity.top1_agreement > 0.7 and parity.mean_cosine > 0.97
    else:
        assert parity.top1_agreement == 1.0
        assert parity.share_equal > 0.95 and parity.median_abs_difference < 1e-4


def test_integers_throughout(tiny: tf.keras.Model) -> None:
    images = pixels(32, 16, 16)
    result = to_litert(
        tiny, precision="int8", input_dtype="int8", output_dtype="int8", calibration=images
    )
    graph = read_flatbuffer(result.flatbuffer)
    tensors = [t for op in graph.operators for t in (*op.inputs, *op.outputs) if t is not None]
    assert {tensor.dtype for tensor in tensors} == {"int8", "int32"}
    assert load_runtime(result.flatbuffer).input_dtype == np.int8
    assert verify(result.flatbuffer, tiny, images).mean_cosine > 0.97


@pytest.mark.parametrize("precision", ["compact", "int8"])
def test_calibration_may_be_preprocessed(precision: str, tiny: tf.keras.Model) -> None:
    images = pixels(16, 16, 16)
    one, other = (
        to_litert(tiny, precision=precision, calibration=c).flatbuffer
        for c in (images, preprocess_input(images).numpy())
    )
    assert one == other


@pytest.mark.parametrize("precision", ["compact", "int8"])
@pytest.mark.parametrize(
    "settings",
    [
        {"pad_values": 0.0},
        {"pad_values": 1.0, "input_shape": (31, 17, 3)},
        {"pad_values": 0.0, "input_shape": (9, 13, 3)},
        {"width": 2.0},
        {"include_top": False, "pooling": "avg"},
        {"include_top": False},
        {"classifier_activation": "softmax"},
        {"embedding_units": 24, "include_top": False},
    ],
    ids=lambda settings: " ".join(settings),
)
def test_settings(
    settings: dict[str, Any], precision: str, shaken: Any, signed_scales: Any
) -> None:
    """Odd sizes, both pad values, strides, batch norm scales of any sign, all ends."""
    settings = {"input_shape": (16, 16, 3), "classes": 10} | settings
    model = signed_scales(shaken(ReActNetTiny(**settings)))
    images = pixels(24, *settings["input_shape"][:2])
    result = to_litert(model, precision=precision, calibration=images)
    parity = verify(result.flatbuffer, model, images)
    assert parity.num_binary_operators == 11
    if precision == "int8":
        assert parity.median_cosine > 0.9
    else:
        assert parity.share_equal > 0.9 and parity.median_abs_difference < 1e-4


@pytest.mark.parametrize("precision", ["compact", "int8"])
def test_other_layers(precision: str, shaken: Any, signed_scales: Any) -> None:
    """A norm without a convolution, an activation, pools, a turn, a model of Larq's layers."""
    binary = larq.layers.QuantConv2D(
        16,
        3,
        input_quantizer="ste_sign",
        kernel_quantizer="ste_sign",
        kernel_constraint="weight_clip",
        padding="same",
        pad_values=1.0,
        activation="relu",
    )
    layers = [
        Rotate180(),
        Layers.Conv2D(16, 3, activation="tanh"),
        BatchNorm(),
        binary,
        Layers.MaxPooling2D(),
        BatchNorm(),
        RSign(),
        BinaryConv2D(16, 1),
        RPReLU(),
        Layers.Flatten(),
        Layers.Dense(12, activation="sigmoid"),
    ]
    model = signed_scales(shaken(tf.keras.Sequential([Layers.InputLayer((9, 8, 3)), *layers])))
    images = pixels(48, 9, 8)
    parity = verify(
        to_litert(model, precision=precision, calibration=images).flatbuffer, model, images
    )
    assert parity.num_binary_operators == 2
    assert parity.median_cosine > (0.8 if precision == "int8" else 0.999999)


@pytest.mark.parametrize("activation", ["tanh", "sigmoid"])
def test_a_sign_of_values_whose_range_the_runtime_fixes(activation: str, shaken: Any) -> None:
    inputs = tf.keras.Input((8, 8, 3))
    values = Layers.Conv2D(16, 3, activation=activation)(inputs)
    signs = BatchNorm()(BinaryConv2D(16, 3)(RSign()(values)))
    model = shaken(tf.keras.Model(inputs, Layers.GlobalAveragePooling2D()(signs)))
    images = pixels(24, 8, 8)
    result = to_litert(model, precision="int8", calibration=images)
    assert verify(result.flatbuffer, model, images).median_cosine > 0.98


@pytest.mark.parametrize("precision", ["compact", "int8"])
def test_a_sign_that_others_see(precision: str, shaken: Any) -> None:
    inputs = tf.keras.Input((8, 8, 3))
    signs = RSign()(Layers.Conv2D(16, 3, padding="same")(inputs))
    both = Layers.Add()([BatchNorm()(BinaryConv2D(16, 3)(signs)), signs])
    model = shaken(tf.keras.Model(inputs, Layers.GlobalAveragePooling2D()(both)))
    images = pixels(24, 8, 8)
    result = to_litert(model, precision=precision, calibration=images)
    parity = verify(result.flatbuffer, model, images)
    assert parity.median_cosine > (0.98 if precision == "int8" else 0.999999)


def test_a_stage_one_model_keeps_real_kernels(shaken: Any) -> None:
    model = shaken(ReActNetTiny((16, 16, 3), classes=10, binarize="activations"))
    with pytest.raises(UserError, match=r"its kernel is not binary \(binarize='activations'"):
        to_litert(model)
    result = to_litert(model, strict=False)
    parity = verify(result.flatbuffer, model, pixels(24, 16, 16), strict=False)
    assert result.report.num_binary == 0 and parity.share_equal > 0.9


def test_a_layer_used_twice(shaken: Any) -> None:
    inputs = tf.keras.Input((8, 8, 3))
    stem = Layers.Conv2D(16, 3, padding="same")(inputs)
    twice = BinaryConv2D(16, 3)
    model = shaken(tf.keras.Model(inputs, twice(RSign()(twice(RSign()(stem))))))
    result = to_litert(model, strict=False)
    assert "more than once" in result.report.notes[0]
    assert verify(result.flatbuffer, model, pixels(8, 8, 8), strict=False).median_cosine > 0.9999
    with pytest.raises(UserError, match="each layer once"):
        to_litert(model, precision="int8", calibration=pixels(8, 8, 8))


def heads_on(maps: int, activation: str, shaken: Any) -> tf.keras.Model:
    """One convolution on maps whose values are 100 times apart, and all its outputs together."""
    inputs = tf.keras.Input((8, 8, 3))
    features = BinaryConv2D(16, 3)(RSign()(Layers.Conv2D(16, 3, padding="same")(inputs)))
    levels = [Layers.Conv2D(4, 1, name=f"level_{index}")(features) for index in range(maps)]
    head = Layers.Conv2D(5, 3, padding="same", activation=activation, name="head")
    model = shaken(tf.keras.Model(inputs, [head(level) for level in levels]))
    for index in range(maps):
        layer = model.get_layer(f"level_{index}")
        layer.kernel.assign(layer.kernel * 100.0 ** (index % 2))
    return model


def test_a_convolution_used_again_has_a_range_for_each_use(shaken: Any) -> None:
    model, images = heads_on(4, "relu", shaken), pixels(32, 8, 8)
    content = to_litert(model, precision="int8", calibration=images).flatbuffer
    found = load_runtime(content).run_all(images)
    wanted = model(preprocess_input(images), training=False)
    sizes = [float(np.max(values)) for values in wanted]
    assert max(sizes) > 20 * min(sizes)
    for values, expected in zip(found, wanted, strict=True):
        # One range for all would leave the small ones a dozen values.
        assert len(np.unique(values)) > 60
        assert np.corrcoef(values.ravel(), np.ravel(expected))[0, 1] > 0.9
    # Its kernel is there once.
    kernels = [o.inputs[1] for o in read_flatbuffer(content).named("CONV_2D")]
    assert len({k.data for k in kernels if k is not None and k.shape == (5, 3, 3, 4)}) == 1


def test_a_layer_used_again_that_cannot_be_in_integers(shaken: Any) -> None:
    images = pixels(4, 8, 8)
    bent = heads_on(2, "tanh", shaken)
    with pytest.raises(UserError, match="each layer once for precision='int8'"):
        to_litert(bent, precision="int8", calibration=images)
    inputs = tf.keras.Input((8, 8, 3))
    twice = Layers.Conv2D(3, 3, padding="same")
    values = twice(inputs)
    maps = [BinaryConv2D(3, 3)(RSign()(x)) for x in (values, twice(values))]
    before_signs = shaken(tf.keras.Model(inputs, maps))
    with pytest.raises(UserError, match="each layer once for precision='int8'"):
        to_litert(before_signs, precision="int8", calibration=images)


def test_several_outputs(shaken: Any) -> None:
    """Raw boxes and scores of a detector, in their order."""
    inputs = tf.keras.Input((16, 16, 3))
    features = ReActNetTiny((16, 16, 3), include_top=False)(inputs)
    heads = [Layers.Conv2D(count, 1)(features) for count in range(2, 14)]
    heads[5] = Layers.Activation("sigmoid")(heads[5])
    model = shaken(tf.keras.Model(inputs, heads))
    images = pixels(16, 16, 16)
    for precision in ("compact", "int8"):
        result = to_litert(model, precision=precision, calibration=images)
        shapes = load_runtime(result.flatbuffer).output_shapes
        assert [shape[-1] for shape in shapes] == list(range(2, 14))
        parity = verify(result.flatbuffer, model, images)
        assert parity.median_cosine > (0.5 if precision == "int8" else 0.999999)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"int4_from": 0}, "`int4_from` must be"),
        ({"precision": "int4"}, "`precision` must be one of"),
        ({"precision": "int8"}, "needs `calibration`"),
        ({"precision": "int8", "calibration": pixels(0, 16, 16)}, "at least one image"),
        ({"precision": "int8", "calibration": pixels(2, 8, 8)}, r"\[N, 16, 16, 3\]"),
        ({"input_dtype": "int8"}, "need precision='int8'"),
        ({"output_dtype": "int8"}, "need precision='int8'"),
        ({"labels": ["one"]}, "`labels` must be 10"),
        ({"input_size": 32}, "`input_size` must be that of the model"),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], message: str, tiny: tf.keras.Model) -> None:
    with pytest.raises(UserError, match=message):
        to_litert(tiny, **arguments)


def test_pixels_need_three_channels(shaken: Any) -> None:
    model = shaken(ReActNetTiny((16, 16, 1), classes=10))
    with pytest.raises(UserError, match="pass input_dtype='float32'"):
        to_litert(model)
    values = np.random.default_rng(0).normal(size=(8, 16, 16, 1))
    result = to_litert(model, input_dtype="float32")
    assert verify(result.flatbuffer, model, values).share_equal > 0.8


def test_an_operator_that_the_runtime_lacks_is_named(shaken: Any) -> None:
    inputs = tf.keras.Input((8, 8, 3))
    binary = BinaryConv2D(16, 3)(RSign()(Layers.Conv2D(16, 3)(inputs)))
    square = Layers.Reshape((24, 24))(Layers.Flatten()(binary))
    model = shaken(tf.keras.Model(inputs, tf.linalg.det(square)))
    with pytest.raises(UserError, match="MatrixDeterminant"):
        to_litert(model)


def test_large_kernels_in_int4(shaken: Any) -> None:
    model = shaken(ReActNetTiny((16, 16, 3), classes=10))
    result = to_litert(model, int4_from=1)
    report = result.report
    assert {layer.reason for layer in report.layers} == {"FULLY_CONNECTED, int4 weights"}
    first = report.layers[0]
    assert first.macs == 16 * 16 * 8 * 8 * 9 and first.binary_bytes == 8 * 8 * 9 // 2
    parity = verify(result.flatbuffer, model, pixels(48, 16, 16))
    assert parity.num_binary_operators == 11
    assert parity.share_equal > 0.95 and parity.median_abs_difference < 1e-4
