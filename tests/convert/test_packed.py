"""Packed files: bit for bit, as small as promised, fine-tunable; what cannot be packed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import larq
import numpy as np
import pytest
import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.backbones import ReActNetA, ReActNetTiny
from burn_tf.convert import (
    binary_weights,
    load_packed,
    load_packed_weights,
    packed_metadata,
    packed_size,
    read_safetensors,
    save_packed,
)
from burn_tf.layers import BatchNorm, BinaryConv2D, ScaledSign
from tests.backbones.reactnet_reference import randomize
from tests.convert.small_network import NUM_BINARY, small_network

ROOT = Path(__file__).parents[2]
LOADER = """
import sys
import numpy as np
from burn_tf.convert import load_packed
images = np.load(sys.argv[1] + "/images.npy")
np.save(sys.argv[1] + "/outputs.npy", load_packed(sys.argv[1] + "/model.safetensors")(images))
"""


def images(channels: int = 3, side: int = 8) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(6, side, side, channels)).astype(np.float32)


def bits(values: Any) -> np.ndarray:
    return np.asarray(values, np.float32).view(np.uint32)


def wide_network() -> tf.keras.Model:
    """A kernel of 9,216 weights per filter, whose mean of equal values rounds the most."""
    inputs = tf.keras.Input((4, 4, 1024))
    outputs = BatchNorm()(BinaryConv2D(3, 3, name="wide")(inputs))
    model = tf.keras.Model(inputs, outputs)
    rng = np.random.default_rng(3)
    model.get_layer("wide").kernel.assign(rng.normal(0, 0.05, (3, 3, 1024, 3)))
    return model


def larq_network() -> tf.keras.Model:
    return tf.keras.Sequential(
        [
            larq.layers.QuantConv2D(
                5,
                3,
                input_quantizer="ste_sign",
                kernel_quantizer="ste_sign",
                kernel_constraint="weight_clip",
                input_shape=(8, 8, 4),
                name="quant",
            ),
            tf.keras.layers.BatchNormalization(name="norm"),
            tf.keras.layers.Flatten(),
            tf.keras.layers.Dense(2, activation="relu", name="top"),
        ]
    )


def nested_network() -> tf.keras.Model:
    return tf.keras.Sequential(
        [small_network(), tf.keras.layers.Dense(4, name="head")], name="outer"
    )


@pytest.fixture(scope="module")
def small() -> tf.keras.Model:
    """Tests must not change it."""
    return small_network()


@pytest.fixture
def packed(tmp_path: Path, small: tf.keras.Model) -> Path:
    save_packed(small, tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


class TestRoundTrip:
    def test_latent_weights_are_sign_times_scale_bit_for_bit(self, packed, small):
        loaded, count = load_packed(packed), 0
        for layer in small.layers:
            if isinstance(layer, BinaryConv2D):
                latent = layer.kernel.numpy()
                scale = np.abs(ScaledSign()(layer.kernel).numpy()).max(axis=(0, 1, 2))
                expected = np.where(latent >= 0, scale, -scale)
                actual = loaded.get_layer(layer.name).kernel.numpy()
                np.testing.assert_array_equal(bits(actual), bits(expected))
                mean = np.abs(latent.astype(np.float64)).mean(axis=(0, 1, 2))
                np.testing.assert_allclose(scale, mean, rtol=1e-5)
                count += 1
        assert count == NUM_BINARY

    def test_other_weights_bit_for_bit(self, packed, small):
        loaded = load_packed(packed)
        assert [v.name for v in loaded.weights] == [v.name for v in small.weights]
        binary = ("conv_3/kernel:0", "conv_1/kernel:0")
        pairs = zip(loaded.weights, small.weights, strict=True)
        others = [pair for pair in pairs if pair[1].name not in binary]
        assert len(others) == len(small.weights) - NUM_BINARY
        for actual, expected in others:
            np.testing.assert_array_equal(bits(actual), bits(expected))

    def test_outputs(self, packed, small):
        # The forward pass takes the mean of n equal values, which rounds by up to n / 2 units in
        # the last place where it adds them one by one.
        expected = small(images()).numpy()
        np.testing.assert_allclose(load_packed(packed)(images()), expected, rtol=1e-4, atol=1e-5)
        assert np.ptp(expected) > 0.1

    @pytest.mark.parametrize("build", [wide_network, larq_network, nested_network])
    def test_packing_again_gives_the_same_bytes(self, tmp_path, build):
        model = build()
        files = [tmp_path / "1.safetensors", tmp_path / "2.safetensors"]
        save_packed(model, files[0])
        loaded = load_packed(files[0])
        save_packed(loaded, files[1])
        assert files[0].read_bytes() == files[1].read_bytes()
        inputs = np.random.default_rng(2).normal(size=(2, *model.input_shape[1:]))
        np.testing.assert_allclose(loaded(inputs), model(inputs), rtol=2e-4, atol=1e-5)

    def test_every_option_of_the_architecture(self, tmp_path):
        model = ReActNetTiny(
            (None, None, 3), pad_values=0.0, estimator="ste", embedding_units=12, pooling="avg"
        )
        randomize(model)
        model.get_layer("stem_conv").trainable = False
        save_packed(model, tmp_path / "model.safetensors")
        loaded = load_packed(tmp_path / "model.safetensors")
        assert loaded.get_config() == model.get_config()
        np.testing.assert_allclose(loaded(images()), model(images()), rtol=1e-4, atol=1e-5)

    def test_mixed_precision(self, tmp_path):
        tf.keras.mixed_precision.set_global_policy("mixed_bfloat16")
        model = small_network()
        save_packed(model, tmp_path / "model.safetensors")
        tf.keras.mixed_precision.set_global_policy("float32")
        loaded = load_packed(tmp_path / "model.safetensors")
        assert loaded.get_layer("conv_3").compute_dtype == "bfloat16"
        actual, expected = (tf.cast(m(images()), tf.float32) for m in (loaded, model))
        np.testing.assert_allclose(actual, expected, rtol=2e-2, atol=2e-2)

    def test_compiled_model_comes_back_uncompiled(self, tmp_path):
        model = small_network()
        model.compile("adam", "mse")
        save_packed(model, tmp_path / "model.safetensors")
        assert load_packed(tmp_path / "model.safetensors").optimizer is None

    def test_fresh_process(self, packed, small, tmp_path):
        np.save(tmp_path / "images.npy", images())
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        environment.pop("TF_USE_LEGACY_KERAS", None)
        command = [sys.executable, "-c", LOADER, str(tmp_path)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-2000:]
        outputs = np.load(tmp_path / "outputs.npy")
        np.testing.assert_allclose(outputs, small(images()), rtol=1e-4, atol=1e-5)

    def test_initializers_survive(self, packed):
        # They are put aside while the network is built, since their values would be thrown away.
        kind = type(load_packed(packed).get_layer("conv_3").kernel_initializer).__name__
        assert kind == "GlorotNormal"


class TestSize:
    def test_reactnet_a_fits_into_four_megabytes(self):
        model = ReActNetA((32, 32, 3), include_top=False, stem_strides=1)
        floor = sum(signs.size for signs in binary_weights(model).values()) / 8
        assert floor == 28_253_184 / 8
        assert floor < packed_size(model) <= 4_000_000

    def test_is_that_of_the_file(self, packed, small):
        assert packed_size(small) == packed.stat().st_size

    def test_float16(self, tmp_path):
        model = small_network()
        model.get_layer("stem_bn").moving_variance.assign(np.full(12, 1e6))
        path = tmp_path / "model.safetensors"
        save_packed(model, path, float_dtype="float16")
        assert path.stat().st_size == packed_size(model, "float16") < packed_size(model) - 1000
        tensors, _ = read_safetensors(path)
        kinds = {name: str(value.dtype) for name, value in tensors.items()}
        assert kinds["stem_conv/kernel"] == "float16"
        assert kinds["stem_bn/moving_variance"] == "float32"
        assert kinds["conv_3/kernel:scale"] == "float32"
        loaded = load_packed(path)
        kernel = loaded.get_layer("stem_conv").kernel
        assert kernel.dtype == tf.float32
        rounded = model.get_layer("stem_conv").kernel.numpy().astype(np.float16)
        np.testing.assert_array_equal(kernel.numpy(), rounded.astype(np.float32))


def test_metadata(tmp_path, small):
    texts = {"licence": "Apache-2.0", "sha256": "mine", "Ünïcode": '"quoted"\n'}
    save_packed(small, tmp_path / "model.safetensors", metadata=texts)
    assert packed_metadata(tmp_path / "model.safetensors") == texts


def test_fine_tuning_lowers_the_loss_and_moves_signs(packed):
    tf.keras.utils.set_random_seed(0)
    backbone = load_packed(packed)
    before = binary_weights(backbone)
    model = tf.keras.Sequential([backbone, tf.keras.layers.Dense(2)])
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 64)
    x = rng.normal(size=(64, 8, 8, 3)) * 0.5 + np.where(labels, 1, -1)[:, None, None, None]
    loss = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(tf.keras.optimizers.Adam(0.01), loss)
    losses = model.fit(x, labels, batch_size=16, epochs=8, verbose=0).history["loss"]
    assert losses[-1] < 0.5 * losses[0]
    after = binary_weights(backbone)
    moved = sum(int((after[name] != before[name]).sum()) for name in before)
    assert moved > 50


class TestExistingModel:
    def test_another_image_size(self, packed, small):
        larger = small_network(side=12, seed=1)
        assert load_packed_weights(larger, packed) == []
        for mine, theirs in zip(larger.weights, load_packed(packed).weights, strict=True):
            np.testing.assert_array_equal(mine.numpy(), theirs.numpy())
        assert larger(images(side=12)).shape == small(images()).shape

    def test_a_top_keeps_its_own_values(self, packed):
        with_top = small_network(classes=7, seed=1)
        kernel = with_top.get_layer("logits").kernel.numpy()
        left = load_packed_weights(with_top, packed, optional=["logits"])
        assert left == ["logits/kernel", "logits/bias"]
        np.testing.assert_array_equal(with_top.get_layer("logits").kernel.numpy(), kernel)
        features = tf.keras.Model(with_top.input, with_top.get_layer("pool").output)
        np.testing.assert_array_equal(features(images()), load_packed(packed)(images()))

    def test_a_top_of_another_width_is_left(self, tmp_path):
        path = tmp_path / "model.safetensors"
        save_packed(small_network(classes=5), path)
        model, without = small_network(classes=7), small_network()
        left = load_packed_weights(model, path, optional=["logits"])
        assert left == ["logits/kernel", "logits/bias"]
        assert load_packed_weights(without, path, optional=["logits"]) == []
        same = small_network(classes=5, seed=1)
        assert load_packed_weights(same, path, optional=["logits"]) == []
        with pytest.raises(
            UserError, match=r"logits/kernel\), the first \(5,\), in the model \(7,"
        ):
            load_packed_weights(model, path)
        with pytest.raises(UserError, match=r"2 unused \(logits/bias, logits/kernel"):
            load_packed_weights(without, path)

    @pytest.mark.parametrize("channels", [1, 2, 4, 7])
    def test_images_of_equal_channels_give_the_same_features(self, packed, channels):
        model = small_network(channels=channels, seed=1)
        assert load_packed_weights(model, packed) == []
        grey = images(channels=1)
        stem = [
            tf.keras.Model(m.input, m.get_layer("stem_conv").output)
            for m in (model, load_packed(packed))
        ]
        actual = stem[0](np.repeat(grey, channels, axis=-1))
        expected = stem[1](np.repeat(grey, 3, axis=-1))
        np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5)

    def test_stage_one_network_takes_the_weights(self, packed):
        stage1 = small_network(binarize="activations", seed=1)
        load_packed_weights(stage1, packed)
        np.testing.assert_allclose(
            stage1(images()), load_packed(packed)(images()), rtol=1e-4, atol=1e-5
        )

    @pytest.mark.parametrize(
        ("model", "reason"),
        [
            (lambda: small_network(width=16), r"other shapes .*, the first .*12\), in the .*16\)"),
            (lambda: small_network(classes=2), r"2 weights missing .*\(logits/kernel, logits/bias"),
            (wide_network, "5 weights missing .*, 23 unused .* and 18 more"),
        ],
    )
    def test_nothing_changes_when_it_does_not_fit(self, packed, model, reason):
        network = model()
        before = [value.copy() for value in network.get_weights()]
        with pytest.raises(UserError, match=reason) as error:
            load_packed_weights(network, packed)
        assert "\n" not in str(error.value)
        for value, kept in zip(network.get_weights(), before, strict=True):
            np.testing.assert_array_equal(value, kept)


class _Subclass(tf.keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.conv = BinaryConv2D(2, 3)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return self.conv(inputs)


def _subclass() -> tf.keras.Model:
    model = _Subclass()
    model(tf.ones([1, 4, 4, 3]))
    return model


def _float_network() -> tf.keras.Model:
    return tf.keras.Sequential([tf.keras.layers.Dense(2, input_shape=(3,))])


def _not_finite(name: str) -> tf.keras.Model:
    model = small_network()
    weight = next(v for v in model.weights if v.name == name)
    weight.assign(np.full(weight.shape, np.nan))
    return model


def _with_lambda() -> tf.keras.Model:
    inputs = tf.keras.Input((4, 4, 3))
    outputs = BinaryConv2D(2, 3)(tf.keras.layers.Lambda(lambda x: 2 * x)(inputs))
    return tf.keras.Model(inputs, outputs)


class TestRefusesToWrite:
    @pytest.mark.parametrize(
        ("build", "reason"),
        [
            (lambda: small_network(binarize="activations"), r"set_binarize\(model"),
            (lambda: small_network(binarize="none"), "'conv_3' with a real"),
            (_float_network, "must have binary layers"),
            (_subclass, "functional or sequential|registered"),
            (_with_lambda, "code"),
            (lambda: _not_finite("conv_3/kernel:0"), "kernel of 'conv_3'"),
            (lambda: _not_finite("stem_bn/moving_mean:0"), "'stem_bn/moving_mean'"),
            (lambda: tf.keras.Sequential([BinaryConv2D(2, 3)]), "built"),
            (lambda: "backbone.keras", "tf.keras.Model"),
        ],
    )
    def test_models(self, tmp_path, build: Callable[[], Any], reason):
        with pytest.raises(UserError, match=reason) as error:
            save_packed(build(), tmp_path / "model.safetensors")
        assert "\n" not in str(error.value)
        assert not list(tmp_path.iterdir())

    def test_arguments(self, tmp_path, small):
        path = tmp_path / "model.safetensors"
        with pytest.raises(UserError, match="Did you mean 'float16'"):
            save_packed(small, path, float_dtype="float61")
        with pytest.raises(UserError, match="must map texts to texts"):
            save_packed(small, path, metadata={"epochs": 3})  # type: ignore[dict-item]
        with pytest.raises(UserError, match=r"must end in '\.safetensors'"):
            save_packed(small, tmp_path / "model.keras")
        assert not list(tmp_path.iterdir())

    def test_a_full_disk_leaves_the_old_file(self, packed, small, monkeypatch):
        content = packed.read_bytes()

        def full(*_: Any) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(UserError, match="No space left on device"):
            save_packed(small, packed, metadata={"new": "text"})
        assert [file.name for file in packed.parent.iterdir()] == [packed.name]
        assert packed.read_bytes() == content
