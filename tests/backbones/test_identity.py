"""Digests of networks: equal for what computes the same, different for what does not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.backbones import ReActNetTiny, set_binarize
from burn_tf.backbones.identity import (
    architecture_sha256,
    feature_key,
    feature_layer,
    weights_sha256,
)
from burn_tf.evaluation import raw_pixels


def branches(
    first: str = "a", second: str = "b", activation: str = "relu", twist: bool = False
) -> tf.keras.Model:
    """Two layers, of which one is the features: which one is a matter of references by name."""
    images = tf.keras.Input((2,))
    left = tf.keras.layers.Activation(activation, name=first)(images)
    right = tf.keras.layers.Activation("tanh", name=second)(left if twist else images)
    return tf.keras.Model(images, tf.keras.layers.Concatenate()([left, right]))


def dense(name: str | None = None, value: float = 1.0) -> tf.keras.Model:
    start = tf.keras.initializers.Constant(value)
    inner = tf.keras.Sequential([tf.keras.layers.Dense(2, kernel_initializer="ones", name=name)])
    return tf.keras.Sequential(
        [
            tf.keras.Input((3,)),
            inner,
            tf.keras.layers.Dense(2, kernel_initializer=start, trainable=False),
        ]
    )


def test_names_do_not_matter() -> None:
    # Keras numbers the unnamed layers of the second model differently.
    assert architecture_sha256(branches()) == architecture_sha256(branches("x", "relu"))
    first, second = dense("inner"), dense("other")
    assert architecture_sha256(first) == architecture_sha256(second)
    assert weights_sha256(first) == weights_sha256(second)


def test_saving_and_loading_do_not_matter(tmp_path: Path) -> None:
    model = ReActNetTiny((16, 16, 3), include_top=False, pooling="avg")
    wanted = feature_key(model, {})
    for name in ("first.keras", "second.keras"):
        model.save(tmp_path / name)
        model = tf.keras.models.load_model(tmp_path / name)
        assert feature_key(model, {}) == wanted


def test_functions_and_connections_matter() -> None:
    digests = [
        architecture_sha256(branches()),
        architecture_sha256(branches("relu", activation="relu", twist=True)),
        architecture_sha256(branches("elu", activation="elu")),
    ]
    assert None not in digests and len(set(digests)) == 3


def test_which_layer_is_the_output_matters() -> None:
    model = branches()
    parts = [tf.keras.Model(model.input, model.get_layer(name).output) for name in "ab"]
    assert architecture_sha256(parts[0]) != architecture_sha256(parts[1])
    whole = [
        tf.keras.Model(model.input, [model.get_layer(n).output for n in o]) for o in ("ab", "ba")
    ]
    assert architecture_sha256(whole[0]) != architecture_sha256(whole[1])


def test_one_changed_weight_matters() -> None:
    model = dense()
    before = weights_sha256(model)
    model.weights[-1].assign(np.array([0.0, 1e-30], np.float32))
    assert weights_sha256(model) != before


def test_the_mode_of_binary_layers_matters() -> None:
    model = ReActNetTiny(input_shape=(16, 16, 3), include_top=False, pooling="avg")
    real = set_binarize(model, "none")
    assert weights_sha256(real) == weights_sha256(model)
    assert architecture_sha256(real) != architecture_sha256(model)


def test_what_is_no_model_has_no_digest() -> None:
    class Subclassed(tf.keras.Model):
        def __init__(self, size: int) -> None:
            super().__init__()
            self.dense = tf.keras.layers.Dense(size)

        def call(self, images: tf.Tensor) -> tf.Tensor:
            return self.dense(images)

    model = Subclassed(2)
    model(tf.zeros([1, 3]))
    assert weights_sha256(raw_pixels) is architecture_sha256(raw_pixels) is None
    assert architecture_sha256(model) is None
    assert feature_key(raw_pixels, {}) is feature_key(model, {}) is None
    images = tf.keras.Input((3,))
    for layer in (model, tf.keras.layers.Lambda(lambda x: 2.0 * x)):
        assert architecture_sha256(tf.keras.Model(images, layer(images))) is None


def test_a_key_is_of_network_and_facts() -> None:
    model = dense()
    keys = [feature_key(model, facts) for facts in ({"size": 8}, {"size": 9}, {"size": 8})]
    assert keys[0] == keys[2] != keys[1]
    assert feature_key(dense(value=2.0), {"size": 8}) != keys[0]
    with pytest.raises(UserError, match="`facts` must be of JSON types"):
        feature_key(model, {"size": np.zeros(2)})


def test_feature_layers() -> None:
    assert feature_layer(branches()).startswith("concatenate")
    assert feature_layer(raw_pixels) == "raw_pixels"
