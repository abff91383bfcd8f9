"""A frozen backbone neither learns nor moves its batch norm statistics."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import numpy as np
import pytest
import tensorflow as tf

from burn_tf.backbones import ReActNetTiny, ResNet18, set_binarize

BUILDERS: dict[str, Callable[[], tf.keras.Model]] = {
    "binary": lambda: ReActNetTiny((8, 8, 3), include_top=False, pooling="avg"),
    "stage_1": lambda: ReActNetTiny(
        (8, 8, 3), include_top=False, pooling="avg", binarize="activations"
    ),
    "float": lambda: ResNet18((8, 8, 3), include_top=False, pooling="avg", width=0.125),
}


def data(classes: int = 2) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    images = rng.normal(2.0, 3.0, (16, 8, 8, 3)).astype(np.float32)
    return images, rng.integers(0, classes, 16)


def with_head(backbone: tf.keras.Model) -> tf.keras.Model:
    return tf.keras.Sequential([backbone, tf.keras.layers.Dense(2, name="head")])


def fit(model: tf.keras.Model) -> None:
    loss = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(tf.keras.optimizers.SGD(0.1, momentum=0.9), loss)
    model.fit(*data(), batch_size=8, epochs=2, verbose=0)


def values(model: tf.keras.Model) -> dict[str, np.ndarray]:
    return {v.name: v.numpy().copy() for v in model.weights}


def changed(model: tf.keras.Model, before: dict[str, np.ndarray]) -> set[str]:
    return {v.name for v in model.weights if not np.array_equal(before[v.name], v.numpy())}


@pytest.mark.parametrize("name", BUILDERS)
def test_fit_moves_the_head_alone(name):
    backbone = BUILDERS[name]()
    backbone.trainable = False
    model = with_head(backbone)
    before = values(model)
    fit(model)
    assert changed(model, before) == {"head/kernel:0", "head/bias:0"}


def test_thawed_it_learns_and_measures_again():
    backbone = BUILDERS["binary"]()
    backbone.trainable = False
    model = with_head(backbone)
    fit(model)
    before = values(backbone)
    backbone.trainable = True
    fit(model)
    moved = changed(backbone, before)
    assert {n for n in before if "moving_" in n or "conv/kernel" in n} <= moved


def test_training_mode_of_a_frozen_backbone_is_inference():
    backbone = BUILDERS["binary"]()
    backbone.trainable = False
    images, before = data()[0], values(backbone)
    trained = backbone(images, training=True).numpy()
    np.testing.assert_allclose(trained, backbone(images, training=False), rtol=1e-4, atol=1e-5)
    assert not changed(backbone, before)
    backbone.trainable = True
    assert np.abs(backbone(images, training=True) - trained).max() > 0.05


class Recording(tf.keras.optimizers.SGD):
    """Remembers the names of the variables that it is given."""

    given: ClassVar[set[str]] = set()

    def apply_gradients(self, grads_and_vars, *args, **kwargs):
        pairs = list(grads_and_vars)
        Recording.given = {v.name for gradient, v in pairs if gradient is not None}
        return super().apply_gradients(pairs, *args, **kwargs)


def test_no_gradient_reaches_it():
    # A tape watches whatever it sees, frozen or not: Keras asks it for `trainable_variables` alone.
    backbone = BUILDERS["binary"]()
    backbone.trainable = False
    model = with_head(backbone)
    for trainable in (False, True):
        backbone.trainable = trainable
        model.compile(Recording(0.1), "mse")
        model.train_on_batch(data()[0], np.zeros((16, 2), np.float32))
        assert Recording.given == {v.name for v in model.trainable_variables}
        assert (Recording.given == {"head/kernel:0", "head/bias:0"}) is not trainable


def test_part_of_it():
    backbone = BUILDERS["binary"]()
    for layer in backbone.layers:
        layer.trainable = not layer.name.startswith(("stem", "block1", "block2"))
    model = with_head(backbone)
    before = values(model)
    fit(model)
    moved = changed(model, before)
    assert not {n for n in moved if n.startswith(("stem", "block1", "block2"))}
    late = {n for n in before if n.startswith(("block3", "block4")) and "moving_" in n}
    assert late <= moved


def test_statistics_alone():
    """Batch norm in inference mode while everything else is fine-tuned."""
    backbone = BUILDERS["binary"]()
    for layer in backbone.layers:
        layer.trainable = not isinstance(layer, tf.keras.layers.BatchNormalization)
    model = with_head(backbone)
    before = values(model)
    fit(model)
    moved = changed(model, before)
    assert not {n for n in moved if "_bn/" in n}
    assert {n for n in before if "conv/kernel" in n} <= moved


def test_on_two_replicas(two_replicas):
    with two_replicas.scope():
        backbone = BUILDERS["binary"]()
        backbone.trainable = False
        model = with_head(backbone)
        before = values(model)
        fit(model)
    assert changed(model, before) == {"head/kernel:0", "head/bias:0"}


def test_freezing_survives_saving_and_switching(tmp_path):
    backbone = BUILDERS["stage_1"]()
    backbone.trainable = False
    model = with_head(backbone)
    model.save(tmp_path / "model.keras")
    loaded = tf.keras.models.load_model(tmp_path / "model.keras")
    assert [v.name for v in loaded.trainable_weights] == ["head/kernel:0", "head/bias:0"]
    assert not set_binarize(backbone, "both").trainable_weights
