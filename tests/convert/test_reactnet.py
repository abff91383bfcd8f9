"""Converted binary networks against the authors' arithmetic in float64."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import burn_tf
from burn_tf._checks import UserError
from burn_tf.convert import Converted, convert_checkpoint
from burn_tf.convert.reactnet import check_sides
from burn_tf.export import to_lce, verify
from burn_tf.methods import BURN
from burn_tf.methods.stages import next_stage
from tests.convert import authors_reactnet as authors

Write = Callable[..., Path]
FEATURES = 256


@pytest.fixture
def tensors() -> authors.Tensors:
    return authors.saved(authors.random_tensors())


def images(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(2, height, width, 3)).astype(np.float32)


def burn_tensors(tensors: authors.Tensors) -> authors.Tensors:
    rng = np.random.default_rng(2)
    heads = {
        **authors.linear(rng, "backbone.fc.0", FEATURES, 20),
        **authors.classifier(rng, "classifier", 20, 12),
        **authors.classifier(rng, "teacher_classifier", 16, 12),
    }
    return {f"backbone.{name}": value for name, value in tensors.items()} | authors.saved(heads)


def assert_blocks_equal(converted: Converted, network: authors.Network, x: np.ndarray) -> None:
    """Block by block: each of ours gets the authors' input, turned as ours are."""
    model = converted.backbone
    for index in range(1, len(authors.BLOCKS) + 1):
        before = f"block{index - 1}_out" if index > 1 else "stem_bn"
        block = tf.keras.Model(
            model.get_layer(before).output, model.get_layer(f"block{index}_out").output
        )
        turned = network.outputs[f"feature_{index - 1}"][:, ::-1, ::-1]
        expected = network.outputs[f"feature_{index}"][:, ::-1, ::-1]
        np.testing.assert_allclose(block(turned), expected, atol=1e-9)


@pytest.mark.parametrize(
    ("layout", "size"),
    [
        ("reactnet_a", (64, 31)),
        pytest.param("reactnet_a", (32, 32), marks=pytest.mark.slow),
        pytest.param("reactnet_a", (31, 63), marks=pytest.mark.slow),
        pytest.param("reactnet_a_step1", (64, 31), marks=pytest.mark.slow),
        pytest.param("reactnet_a_step1", (32, 32), marks=pytest.mark.slow),
    ],
)
def test_equals_the_authors_network(
    layout: str, size: tuple[int, int], tensors: authors.Tensors, checkpoint: Write, float64: None
) -> None:
    tensors |= authors.saved(authors.linear(np.random.default_rng(3), "fc", FEATURES, 7))
    binary = layout == "reactnet_a"
    path = checkpoint(authors.flattened(tensors) if binary else tensors)
    converted = convert_checkpoint(path, input_size=size)
    assert (converted.layout, converted.guessed) == (layout, True)
    network = authors.Network(tensors, binary_weights=binary)
    x = images(*size)
    expected = network.linear("fc", network(x))
    np.testing.assert_allclose(converted.backbone(np.float64(x)), expected, atol=1e-9)
    if size == (64, 31):
        assert_blocks_equal(converted, network, x)


def assert_settings(model: tf.keras.Model, binarize: str) -> None:
    conv = model.get_layer("block2_3x3_conv")
    assert (conv.binarize, conv.pad_values) == (binarize, 0.0)
    assert model.get_layer("block2_sign_1").estimator == "ste"
    assert model.input_shape == (None, 32, 32, 3)
    assert isinstance(model.layers[1], burn_tf.layers.Rotate180)


@pytest.mark.parametrize("stage", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_equals_burn_with_its_heads(
    stage: int, tensors: authors.Tensors, checkpoint: Write, float64: None
) -> None:
    everything = burn_tensors(tensors)
    converted = convert_checkpoint(checkpoint(everything), f"burn_stage{stage}", input_size=32)
    assert_settings(converted.backbone, "both" if stage == 2 else "activations")
    network = authors.Network(tensors, binary_weights=stage == 2)
    x = images(32, 32)
    heads = authors.Network(everything, binary_weights=False)
    features = np.maximum(heads.linear("backbone.fc.0", network(x)), 0)
    np.testing.assert_allclose(converted.backbone(np.float64(x)), features, atol=1e-9)
    logits = heads.classifier("classifier", features)
    np.testing.assert_allclose(converted.heads["classifier"](features), logits, atol=1e-9)
    teacher = np.random.default_rng(4).normal(size=(3, 16))
    np.testing.assert_allclose(
        converted.heads["teacher_classifier"](teacher),
        heads.classifier("teacher_classifier", teacher),
        atol=1e-9,
    )


@pytest.mark.parametrize("layout", [pytest.param("s2bnn_step1", marks=pytest.mark.slow), "s2bnn"])
def test_equals_s2bnn_and_drops_its_training_state(
    layout: str, tensors: authors.Tensors, checkpoint: Write, float64: None
) -> None:
    rng = np.random.default_rng(5)
    head = {**authors.linear(rng, "fc.0", FEATURES, 24), **authors.linear(rng, "fc.2", 24, 9)}
    own = tensors | authors.saved(head)
    everything = {f"module.encoder_{key}.{name}": own[name] for key in "qk" for name in own}
    extras = {"module.queue": np.zeros((9, 4), "f4"), "module.queue_ptr": np.int64([0])}
    state = {"optimizer.state.0.exp_avg": np.zeros(3, "f4")}
    path = checkpoint({**everything, **extras, **state})
    converted = convert_checkpoint(path, layout, input_size=32)
    network = authors.Network(own, binary_weights=layout == "s2bnn")
    x = images(32, 32)
    features = network(x)
    np.testing.assert_allclose(converted.backbone(np.float64(x)), features, atol=1e-9)
    embedding = network.linear("fc.2", np.maximum(network.linear("fc.0", features), 0))
    np.testing.assert_allclose(converted.heads["projector"](features), embedding, atol=1e-9)
    assert {"queue", "queue_ptr", "optimizer.state.0.exp_avg"} <= set(converted.dropped)
    assert len(converted.dropped) == len(own) + 3


@pytest.mark.parametrize("size", [33, 30, 48, 225, (32, 40), None])
def test_refuses_sizes_that_cannot_be_equal(size: object, tmp_path: Path) -> None:
    sides = size if isinstance(size, tuple) else (size, size)
    with pytest.raises(UserError, match=r"multiple of 32 or one less .* differ in size"):
        check_sides(sides)


def test_the_authors_network_itself_fails_on_the_refused_sizes(tensors: authors.Tensors) -> None:
    with pytest.raises(ValueError, match="broadcast"):
        authors.Network(tensors, binary_weights=True)(images(80, 80))


def test_burn_without_classifiers_and_with_zeros(
    tensors: authors.Tensors, checkpoint: Write
) -> None:
    everything = burn_tensors(tensors)
    everything["backbone.feature.3.binary_pw.weight"][0, :5] = 0
    alone = {
        name.removeprefix("backbone."): value
        for name, value in everything.items()
        if name.startswith("backbone.")
    }
    converted = convert_checkpoint(checkpoint(alone, "stage2.safetensors"), input_size=32)
    assert converted.layout == "burn_stage2" and not converted.heads
    mirrored, zeros, heads = converted.notes
    assert "mirrored" in mirrored
    assert zeros.startswith("5 weights of binary kernels are exactly 0")
    assert heads == "the file has no classifier and no teacher_classifier"


@pytest.mark.slow
def test_stage_2_starts_from_an_imported_stage_1(
    tensors: authors.Tensors, checkpoint: Write
) -> None:
    path = checkpoint(burn_tensors(tensors), "burn_stage1.safetensors")
    converted = convert_checkpoint(path, input_size=32)
    inputs = tf.keras.Input((32, 32, 3))
    pooled = tf.keras.layers.GlobalAveragePooling2D()(tf.keras.layers.Conv2D(16, 3)(inputs))
    method = BURN(
        converted.backbone,
        tf.keras.Model(inputs, pooled),
        converted.heads["classifier"],
        converted.heads["teacher_classifier"],
        feature_projection="logits",
        view_pairing="crossed",
        total_steps=2,
    )
    stage2 = next_stage(method, "both")
    assert stage2.backbone.get_layer("block1_3x3_conv").binarize == "both"
    for name in ("backbone", "classifier", "teacher_classifier"):
        before, after = (getattr(m, name).get_weights() for m in (method, stage2))
        assert all(np.array_equal(*pair) for pair in zip(before, after, strict=True))
    kernel = stage2.backbone.get_layer("block5_3x3_conv").kernel
    start = kernel.numpy()
    stage2.compile(tf.keras.optimizers.Adam(1e-3))
    views = tf.data.Dataset.from_tensors((images(32, 32), images(32, 32)[::-1])).repeat(2)
    history = stage2.fit(views, epochs=1, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    assert int(stage2.update_step) == 2
    assert not np.array_equal(kernel.numpy(), start)


@pytest.mark.slow
def test_goes_on_to_keras_files_and_phones(
    tensors: authors.Tensors, checkpoint: Write, tmp_path: Path
) -> None:
    path = checkpoint(burn_tensors(tensors), "stage2.safetensors")
    converted = convert_checkpoint(path, input_size=32)
    x = images(32, 32)
    files = converted.save(tmp_path / "k.keras")
    assert [file.name for file in files] == [
        "k.keras",
        "k.classifier.keras",
        "k.teacher_classifier.keras",
    ]
    again = tf.keras.models.load_model(files[0], compile=False)
    np.testing.assert_array_equal(again(x), converted.backbone(x))
    exported = to_lce(again)
    assert exported.report.num_binary == 31
    assert verify(exported.flatbuffer, again, x).median_abs_difference < 1e-3
