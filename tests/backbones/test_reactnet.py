"""ReActNet against the paper's formulas in NumPy, layer by layer and as a whole."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.backbones import ReActNetA, ReActNetTiny, set_binarize
from burn_tf.layers import BinaryConv2D, RSign
from tests.backbones.reactnet_reference import Network, float64_weights, randomize

# (copies of the 1x1 convolution, stride) of each block, from the channels in the paper:
# 32 -> 64, 128, 128, 256, 256, 512 x 6, 1024, 1024.
A_BLOCKS = [(2, 1), (2, 2), (1, 1), (2, 2), (1, 1), (2, 2), *[(1, 1)] * 5, (2, 2), (1, 1)]
TINY_BLOCKS = [(2, 1), (1, 1), (2, 2), (2, 2)]


def images_of(*shape: int) -> np.ndarray:
    # Keras takes inputs as float32 whatever the policy.
    return np.random.default_rng(5).normal(size=shape).astype(np.float32)


def reference_of(model: tf.keras.Model, blocks: list[tuple[int, int]]) -> Network:
    conv = next(layer for layer in model.layers if isinstance(layer, BinaryConv2D))
    return Network(
        float64_weights(model),
        conv.binarize,
        conv.pad_values,
        model.get_layer("stem_conv").strides[0],
        blocks,
    )


def outputs_by_layer(model: tf.keras.Model, images: np.ndarray) -> dict[str, np.ndarray]:
    names = [layer.name for layer in model.layers[1:]]
    every = tf.keras.Model(model.input, [layer.output for layer in model.layers[1:]])
    return dict(zip(names, [value.numpy() for value in every(images)], strict=True))


def assert_every_layer_agrees(
    model: tf.keras.Model, blocks: list[tuple[int, int]], images: np.ndarray
) -> None:
    reference = reference_of(model, blocks)
    reference(images.astype(np.float64))
    actual = outputs_by_layer(model, images)
    assert len(reference.outputs) >= 8 * len(blocks)
    for name, expected in reference.outputs.items():
        np.testing.assert_allclose(actual[name], expected, rtol=1e-8, atol=1e-8, err_msg=name)


@pytest.mark.parametrize(
    ("binarize", "pad_values"), [("none", 0.0), ("activations", 1.0), ("both", 0.0), ("both", 1.0)]
)
def test_reactnet_a_follows_the_formulas(binarize, pad_values):
    tf.keras.mixed_precision.set_global_policy("float64")
    model = ReActNetA(
        binarize=binarize, pad_values=pad_values, width=0.25, classes=7, embedding_units=9
    )
    randomize(model)
    assert_every_layer_agrees(model, A_BLOCKS, images_of(2, 64, 48, 3))


def test_reactnet_a_at_full_width():
    tf.keras.mixed_precision.set_global_policy("float64")
    model = ReActNetA((40, 40, 3), classes=11)
    randomize(model)
    assert_every_layer_agrees(model, A_BLOCKS, images_of(1, 40, 40, 3))


@pytest.mark.parametrize("stem_strides", [1, 2])
def test_odd_sizes(stem_strides):
    tf.keras.mixed_precision.set_global_policy("float64")
    model = ReActNetTiny(stem_strides=stem_strides)
    randomize(model)
    for size in [(1, 1), (2, 3), (15, 22), (33, 7)]:
        assert_every_layer_agrees(model, TINY_BLOCKS, images_of(2, *size, 3))


def test_float32_layers_on_the_references_inputs():
    """Fed layer by layer, since one sign that falls on the other side changes all that follows."""
    model = ReActNetTiny()
    randomize(model)
    reference = reference_of(model, TINY_BLOCKS)
    reference(images_of(2, 16, 16, 3).astype(np.float64))
    for index in range(1, 5):
        signs = reference.outputs[f"block{index}_sign_1"]
        conv = model.get_layer(f"block{index}_3x3_conv")(signs)
        expected = reference.outputs[f"block{index}_3x3_conv"]
        np.testing.assert_allclose(conv.numpy(), expected, rtol=1e-4, atol=1e-4)
        normalized = model.get_layer(f"block{index}_3x3_bn")(expected)
        expected = reference.outputs[f"block{index}_3x3_bn"]
        np.testing.assert_allclose(normalized.numpy(), expected, rtol=1e-4, atol=1e-4)


class TestShape:
    def test_channels_and_convolutions_of_a(self, reactnet_a):
        model = reactnet_a
        convs = [layer for layer in model.layers if isinstance(layer, BinaryConv2D)]
        assert len(convs) == 31
        channels = [model.get_layer(f"block{i}_out").output_shape[-1] for i in range(1, 14)]
        assert channels == [64, 128, 128, 256, 256, *[512] * 6, 1024, 1024]
        sizes = [model.get_layer(f"block{i}_out").output_shape[1] for i in range(1, 14)]
        assert sizes == [112, 56, 56, 28, 28, *[14] * 6, 7, 7]
        assert model.output_shape == (None, 1000)

    def test_weights_of_a_by_hand(self, reactnet_a):
        convs = sum(9 * c * c for c in [32, 64, 128, 128, 256, 256, *[512] * 6, 1024])
        points = sum(
            a * b
            for a, b in [(32, 64), (64, 128), (128, 128), (128, 256), (256, 256), (256, 512),
                         *[(512, 512)] * 5, (512, 1024), (1024, 1024)]
        )  # fmt: skip
        inputs = [32, 64, 128, 128, 256, 256, *[512] * 6, 1024]
        outputs = [64, 128, 128, 256, 256, *[512] * 6, 1024, 1024]
        # Per block: RSign 1 + 1, RPReLU 3 + 3 and batch norm 2 + 2, of which the last have c_out.
        pointwise = sum(
            (1 + 1 + 3 + 2) * a + (3 + 2) * b for a, b in zip(inputs, outputs, strict=True)
        )
        stem_and_top = 27 * 32 + 2 * 32 + 1024 * 1000 + 1000
        trainable = sum(int(np.prod(weight.shape)) for weight in reactnet_a.trainable_weights)
        assert trainable == convs + points + pointwise + stem_and_top

    def test_tiny_is_below_100_kb(self):
        assert 4 * ReActNetTiny().count_params() < 100_000

    @pytest.mark.parametrize("width", [0.3, 0.75])
    def test_widths_are_multiples_of_eight(self, width):
        model = ReActNetA(include_top=False, width=width)
        channels = {layer.filters for layer in model.layers if isinstance(layer, BinaryConv2D)}
        assert all(count % 8 == 0 for count in channels)
        stem = model.get_layer("stem_conv").filters
        assert abs(stem - 32 * width) <= 4
        assert model.output_shape == (None, None, None, 32 * stem)

    def test_pooling_embedding_and_top(self):
        assert ReActNetTiny(include_top=False).output_shape == (None, None, None, 64)
        assert ReActNetTiny(include_top=False, pooling="max").output_shape == (None, 64)
        embedded = ReActNetTiny(include_top=False, embedding_units=5)
        assert embedded.output_shape == (None, 5)
        assert ReActNetTiny((8, 8, 1)).input_shape == (None, 8, 8, 1)
        softmax = ReActNetTiny(classifier_activation="softmax")(images_of(2, 8, 8, 3))
        np.testing.assert_allclose(softmax.numpy().sum(axis=1), 1, rtol=1e-5)


class TestPrecision:
    def test_bfloat16_stays_near_float32(self):
        model = ReActNetTiny((16, 16, 3), binarize="none", include_top=False, pooling="avg")
        randomize(model)
        tf.keras.mixed_precision.set_global_policy("mixed_bfloat16")
        half = ReActNetTiny((16, 16, 3), binarize="none", include_top=False, pooling="avg")
        half.set_weights(model.get_weights())
        assert half.get_layer("block1_3x3_conv").compute_dtype == "bfloat16"
        images = images_of(4, 16, 16, 3)
        wide, narrow = model(images).numpy(), half(images)
        assert narrow.dtype == tf.float32
        np.testing.assert_allclose(narrow.numpy(), wide, atol=0.05 * np.abs(wide).max())

    def test_bfloat16_trains_every_weight(self):
        tf.keras.mixed_precision.set_global_policy("mixed_bfloat16")
        model = ReActNetTiny((16, 16, 3))
        images = images_of(8, 16, 16, 3)
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(model(images, training=True)[:, 0] ** 2)
        gradients = tape.gradient(loss, model.trainable_variables)
        for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
            assert gradient.dtype == variable.dtype == tf.float32
            assert np.isfinite(gradient.numpy()).all()
            # A shift in front of a batch norm changes nothing.
            assert np.abs(gradient.numpy()).max() > 0 or "shift" in variable.name


class TestTwoReplicas:
    @pytest.mark.slow
    def test_equal_one_with_the_same_batch(self, two_replicas):
        tf.keras.mixed_precision.set_global_policy("float64")
        images = images_of(8, 12, 12, 3)
        targets = np.random.default_rng(1).normal(size=(8, 10))
        single = ReActNetTiny((12, 12, 3))
        randomize(single)
        start = single.get_weights()
        with two_replicas.scope():
            double = ReActNetTiny((12, 12, 3))
            double.set_weights(start)
        expected = step(single, images, targets)
        halves = two_replicas.experimental_distribute_values_from_function(
            lambda context: context.replica_id_in_sync_group
        )

        @tf.function
        def run(replica):
            part = slice_of(images, replica), slice_of(targets, replica)
            return step(double, *part)

        losses, gradients = two_replicas.run(run, args=(halves,))
        total = two_replicas.reduce("sum", losses, axis=None)
        np.testing.assert_allclose(total, expected[0], rtol=1e-9)
        for per_replica, wanted in zip(gradients, expected[1], strict=True):
            summed = two_replicas.reduce("sum", per_replica, axis=None)
            np.testing.assert_allclose(summed, wanted, rtol=1e-7, atol=1e-10)
        for actual, wanted in zip(double.get_weights(), single.get_weights(), strict=True):
            np.testing.assert_allclose(actual, wanted, rtol=1e-9, atol=1e-12)


def slice_of(values: np.ndarray, replica: tf.Tensor) -> tf.Tensor:
    return tf.constant(values.reshape(2, -1, *values.shape[1:]))[replica]


def step(model, images, targets):
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum((model(images, training=True) - targets) ** 2)
    return loss, tape.gradient(loss, model.trainable_variables)


class TestRefusals:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"binarize": "boht"}, r"`binarize`.*Did you mean 'both'"),
            ({"pad_values": 0.5}, r"`pad_values`.*Received: 0.5"),
            ({"estimator": "stee"}, r"`estimator`.*Did you mean 'ste'"),
            ({"pooling": "mean"}, r"`pooling`.*Received: 'mean'"),
            ({"width": 0}, r"`width`.*Received: 0"),
            ({"classes": 0}, r"`classes`.*Received: 0"),
            ({"stem_strides": 5}, r"`stem_strides`.*Received: 5"),
            ({"embedding_units": -1}, r"`embedding_units`.*Received: -1"),
            ({"input_shape": (32, 32)}, r"`input_shape`.*Received: \(32, 32\)"),
            ({"weights": "nowhere.keras"}, r"`weights`.*Received: 'nowhere.keras'"),
        ],
    )
    def test_names_argument_and_value(self, arguments, message):
        with pytest.raises(UserError, match=message):
            ReActNetTiny(**arguments)


def test_estimators_reach_every_sign():
    for estimator in ("approx", "ste"):
        model = set_binarize(ReActNetTiny(estimator=estimator), "activations")
        signs = [layer for layer in model.layers if isinstance(layer, RSign)]
        assert len(signs) == 8
        assert {layer.estimator for layer in signs} == {estimator}
