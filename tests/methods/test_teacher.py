"""`frozen_features` against the network itself, with statistics not those of a fresh one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import burn_tf
from burn_tf._checks import UserError
from burn_tf.methods.teacher import FrozenTeacher, frozen_features


def unsettle(network: tf.keras.Model, seed: int) -> None:
    """Give every batch norm weights and statistics that a forgotten term would show in."""
    rng = np.random.default_rng(seed)
    for layer in network.layers:
        if isinstance(layer, tf.keras.layers.BatchNormalization):
            shapes = [weight.shape for weight in layer.weights]
            layer.set_weights([rng.uniform(0.5, 1.5, shape) for shape in shapes])


def images(size: int, seed: int = 0) -> tf.Tensor:
    return tf.constant(np.random.default_rng(seed).normal(size=(3, size, size, 3)), tf.float32)


@pytest.mark.parametrize("backbone", ["ResNet18", "ResNet50"])
def test_folded_features_equal_the_networks(backbone):
    make = getattr(burn_tf.backbones, backbone)
    network = make((32, 32, 3), include_top=False, pooling="avg", width=0.125)
    unsettle(network, seed=1)
    expected = network(images(32), training=False)
    actual = frozen_features(network)(images(32))
    assert tf.math.reduce_std(expected) > 0.01
    np.testing.assert_allclose(actual, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


def test_later_changes_of_the_weights_count():
    network = burn_tf.backbones.ResNet18((16, 16, 3), include_top=False, pooling="avg", width=0.125)
    function = tf.function(frozen_features(network))
    before = function(images(16)).numpy()
    unsettle(network, seed=2)
    expected = network(images(16), training=False).numpy()
    assert np.abs(expected - before).max() > 0.01
    np.testing.assert_allclose(function(images(16)), expected, rtol=1e-3, atol=1e-4)


def test_graph_has_no_batch_norm_left():
    network = burn_tf.backbones.ResNet18((16, 16, 3), include_top=False, pooling="avg", width=0.125)
    graph = tf.function(frozen_features(network)).get_concrete_function(images(16)).graph
    nodes = [node.op for node in graph.as_graph_def().node]
    nodes += [n.op for f in graph.as_graph_def().library.function for n in f.node_def]
    assert "Conv2D" in nodes
    assert not [op for op in nodes if op.startswith("FusedBatchNorm")]


def test_convolution_with_bias_and_norm_without_scale():
    inputs = tf.keras.Input((8, 8, 3))
    x = tf.keras.layers.Conv2D(4, 3, strides=2, bias_initializer="random_normal")(inputs)
    x = tf.keras.layers.BatchNormalization(scale=False)(x)
    network = tf.keras.Model(inputs, tf.keras.layers.GlobalAveragePooling2D()(x))
    unsettle(network, seed=3)
    expected = network(images(8), training=False)
    np.testing.assert_allclose(frozen_features(network)(images(8)), expected, rtol=1e-4, atol=1e-5)


def test_what_cannot_be_folded_runs_as_it_is():
    """A convolution read twice, one with an activation, one binary, and a Dense layer."""
    inputs = tf.keras.Input((8, 8, 3))
    shared = tf.keras.layers.Conv2D(4, 3, padding="same", name="shared")(inputs)
    norm = tf.keras.layers.BatchNormalization()(shared)
    x = tf.keras.layers.Add()([norm, shared])
    x = tf.keras.layers.Conv2D(4, 3, activation="relu", name="active")(x)
    x = tf.keras.layers.BatchNormalization()(x)
    x = burn_tf.layers.BinaryConv2D(4, 3, name="binary")(x)
    x = tf.keras.layers.BatchNormalization()(x)
    x = tf.keras.layers.Dense(5)(tf.keras.layers.GlobalAveragePooling2D()(x))
    network = tf.keras.Model(inputs, x)
    unsettle(network, seed=4)
    expected = network(images(8), training=False)
    np.testing.assert_allclose(frozen_features(network)(images(8)), expected, rtol=1e-5, atol=1e-6)


def test_a_norm_that_something_unfoldable_feeds_too_is_kept() -> None:
    inputs = x = tf.keras.Input((8, 8, 3))
    twice, norm = tf.keras.layers.Conv2D(3, 3, padding="same"), tf.keras.layers.BatchNormalization()
    for layer in (twice, norm, twice, norm, tf.keras.layers.Conv2D(3, 1), norm):
        x = layer(x)
    network = tf.keras.Model(inputs, tf.keras.layers.GlobalAveragePooling2D()(x))
    unsettle(network, seed=5)
    expected = network(images(8), training=False)
    np.testing.assert_allclose(frozen_features(network)(images(8)), expected, rtol=1e-4, atol=1e-5)


def test_operations_between_layers() -> None:
    """As in Keras' MobileNetV3; a convolution hidden among an operation's keywords is read too."""
    inputs = tf.keras.Input((8, 8, 3))
    first = tf.keras.layers.Conv2D(4, 3, padding="same", name="first")(inputs)
    x = tf.nn.relu6(tf.keras.layers.BatchNormalization(name="folded_not")(first) + 3.0) / 6.0
    x = tf.keras.layers.Conv2D(4, 1, name="second")(x + first)
    x = tf.keras.layers.BatchNormalization(name="folded")(x)
    network = tf.keras.Model(inputs, tf.reduce_mean(tf.concat([x, x], -1), axis=[1, 2]))
    unsettle(network, seed=6)
    expected = network(images(8), training=False)
    function: Any = frozen_features(network)
    np.testing.assert_allclose(function(images(8)), expected, rtol=1e-4, atol=1e-5)
    norms = [
        layer.name
        for layer in function.func.layers
        if isinstance(layer, tf.keras.layers.BatchNormalization)
    ]
    assert norms == ["folded_not"]


def test_mixed_precision_stays_within_its_rounding():
    tf.keras.mixed_precision.set_global_policy("mixed_bfloat16")
    network = burn_tf.backbones.ResNet18((16, 16, 3), include_top=False, pooling="avg", width=0.25)
    unsettle(network, seed=5)
    expected = network(images(16), training=False)
    actual = frozen_features(network)(images(16))
    assert actual.dtype == expected.dtype
    np.testing.assert_allclose(actual, expected, atol=0.05 * np.abs(expected).max())


def test_subclassed_model_runs_as_it_is():
    class Twice(tf.keras.Model):
        def call(self, x, training=None):
            return x * (3.0 if training else 2.0)

    np.testing.assert_array_equal(frozen_features(Twice())(tf.ones([1, 2])), [[2.0, 2.0]])


def small_teacher(dtype: str = "float32") -> tf.keras.Model:
    shown = tf.keras.Input((4, 4, 3))
    mean = tf.keras.layers.GlobalAveragePooling2D(dtype=dtype)(shown)
    return tf.keras.Model(shown, mean)


def test_given_features_stand_behind_the_views() -> None:
    views, features = [images(4, 1), images(4, 2)], [tf.ones([3, 3]), 2 * tf.ones([3, 3])]
    live, given = FrozenTeacher(small_teacher()), FrozenTeacher(small_teacher(), given=True)
    assert live.views(views) == views and given.views([*views, *features]) == views
    np.testing.assert_allclose(live.outputs(views)[1], views[1].numpy().mean((1, 2)), rtol=1e-5)
    for wanted, found in zip(features, given.outputs([*views, *features]), strict=True):
        np.testing.assert_array_equal(wanted, found)
    with pytest.raises(UserError, match=r"one tensor for each view.*Received: 3 tensors"):
        given.outputs([*views, features[0]])
    with pytest.raises(UserError, match="`given_features` must have rank 2"):
        given.outputs([*views, *views])


def test_given_features_have_the_networks_type() -> None:
    """float16 holds bfloat16's digits: a feature that was kept comes back bit for bit."""
    teacher, shown = small_teacher("bfloat16"), images(4)
    feature = FrozenTeacher(teacher).output([shown], 0)
    kept = tf.cast(feature, tf.float16)
    found = FrozenTeacher(teacher, given=True).output([shown, kept], 0)
    assert found.dtype == feature.dtype == tf.bfloat16
    np.testing.assert_array_equal(found, feature)
