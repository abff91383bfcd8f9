"""Signs and scales of binary kernels, and their bits."""

from __future__ import annotations

import larq
import numpy as np
import pytest
import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.convert import binary_weights
from burn_tf.convert.binary_kernels import (
    BinaryKernel,
    find_binary_kernels,
    pack_bits,
    unpack_bits,
)
from burn_tf.layers import BinaryConv2D
from tests.convert.small_network import small_network


def one_layer(latent: np.ndarray) -> tf.keras.Model:
    layer = BinaryConv2D(latent.shape[-1], latent.shape[:2], name="conv")
    model = tf.keras.Sequential([tf.keras.Input((4, 4, latent.shape[2])), layer])
    layer.kernel.assign(latent)
    return model


class TestBits:
    def test_order(self):
        values = np.array([[True, False, False], [True, True, False], [False, False, False]])
        np.testing.assert_array_equal(pack_bits(values), np.array([0b00011001, 0], np.uint8))

    @pytest.mark.parametrize("shape", [(1,), (8,), (3, 3, 5, 7), (2, 0, 3)])
    def test_round_trip(self, shape):
        values = np.random.default_rng(0).random(shape) < 0.5
        packed = pack_bits(values)
        assert len(packed) == -(-values.size // 8)
        np.testing.assert_array_equal(unpack_bits(packed, shape), values)

    @pytest.mark.parametrize(
        "bits", [np.zeros(1, np.uint8), np.zeros(3, np.uint8), np.zeros(2, np.int8)]
    )
    def test_wrong_length_or_type(self, bits):
        with pytest.raises(UserError, match=r"must be uint8 \[2\]"):
            unpack_bits(bits, (3, 3))


class TestKernels:
    def test_signs_and_scales_of_literal_values(self):
        latent = np.array([[0.5, -1.0], [-1.5, 0.0], [0.25, -3.0]], np.float32)
        kernel = find_binary_kernels(one_layer(latent[None, None]))["conv/kernel"]
        assert kernel.positive[0, 0].tolist() == [[True, False], [False, True], [True, False]]
        np.testing.assert_allclose(kernel.scale, [0.75, 4 / 3], rtol=1e-6)
        assert kernel.scale.dtype == kernel.latent().dtype == np.float32

    def test_latent(self):
        kernel = BinaryKernel(np.array([[True, False], [False, False]]), np.float32([0.5, 2]))
        assert kernel.latent().tolist() == [[0.5, -2.0], [-0.5, -2.0]]

    def test_already_packed_weights_keep_their_scale(self):
        # The float32 mean of 9,216 copies is another number.
        scale = np.float32([0.0123, 0.3, 0.7])
        signs = np.random.default_rng(0).choice(np.float32([-1, 1]), (3, 3, 1024, 3))
        kernel = find_binary_kernels(one_layer(signs * scale))["conv/kernel"]
        np.testing.assert_array_equal(kernel.scale, scale)

    def test_a_filter_of_zeros(self):
        kernel = find_binary_kernels(one_layer(np.zeros((1, 1, 4, 2), np.float32)))["conv/kernel"]
        assert kernel.positive.all()
        assert kernel.scale.tolist() == [0, 0]

    def test_larq_layers(self):
        model = tf.keras.Sequential(
            [
                larq.layers.QuantConv2D(
                    3,
                    1,
                    kernel_quantizer=larq.quantizers.SteSign(),
                    kernel_constraint="weight_clip",
                    input_shape=(2, 2, 2),
                    name="quant",
                )
            ]
        )
        latent = np.float32([[0.5, -0.25, 0.0], [-0.5, -0.5, 0.5]])
        model.get_layer("quant").kernel.assign(latent[None, None])
        kernel = find_binary_kernels(model)["quant/kernel"]
        assert kernel.scale.tolist() == [1, 1, 1]
        assert kernel.latent()[0, 0].tolist() == [[1, -1, 1], [-1, -1, 1]]

    def test_a_kernel_of_two_bits_stays_as_it_is(self):
        dorefa = larq.layers.QuantConv2D(2, 1, kernel_quantizer=larq.quantizers.DoReFa(2))
        inputs = tf.keras.Input((4, 4, 2))
        model = tf.keras.Model(inputs, dorefa(BinaryConv2D(2, 1, name="binary")(inputs)))
        assert list(find_binary_kernels(model)) == ["binary/kernel"]

    def test_several_magnitudes_in_a_filter(self):
        class Odd(larq.quantizers.SteSign):
            def call(self, inputs: tf.Tensor) -> tf.Tensor:
                return super().call(inputs) * tf.cast(tf.range(3)[:, None], tf.float32)

        quant = larq.layers.QuantConv2D(
            2, 1, kernel_quantizer=Odd(), kernel_constraint="weight_clip", name="odd"
        )
        inputs = tf.keras.Input((4, 4, 3))
        with pytest.raises(UserError, match="'odd' must have one magnitude per output channel"):
            find_binary_kernels(tf.keras.Model(inputs, quant(inputs)))


class TestBinaryWeights:
    def test_are_the_signs_of_the_latent_weights(self):
        model = small_network()
        signs = binary_weights(model)
        assert list(signs) == ["conv_3", "conv_1"]
        for name, values in signs.items():
            assert values.dtype == np.int8
            latent = model.get_layer(name).kernel.numpy()
            np.testing.assert_array_equal(values, np.where(latent >= 0, 1, -1))

    def test_nested(self):
        outer = tf.keras.Sequential([small_network(), tf.keras.layers.Dense(2)])
        assert list(binary_weights(outer)) == ["small/conv_3", "small/conv_1"]

    def test_real_kernels(self):
        with pytest.raises(
            UserError, match=r"'conv_3' with a real kernel \(binarize='activations'"
        ):
            binary_weights(small_network(binarize="activations"))

    def test_no_binary_layer(self):
        model = tf.keras.Sequential([tf.keras.layers.Dense(2, input_shape=(3,))])
        with pytest.raises(UserError, match="must have binary layers"):
            binary_weights(model)
