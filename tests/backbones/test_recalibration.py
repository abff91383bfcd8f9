"""Moving statistics become those of the data, and nothing else changes."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.backbones import ReActNetTiny, recalibrate_batch_norm
from burn_tf.layers import BatchNorm

layers = tf.keras.layers


def batches(images: np.ndarray, sizes: list[int]) -> list[np.ndarray]:
    assert sum(sizes) == len(images)
    return np.split(images, np.cumsum(sizes)[:-1])


def pictures(count: int = 24, side: int = 8) -> np.ndarray:
    images = np.random.default_rng(0).normal(3.0, 2.0, (count, side, side, 3))
    return images.astype(np.float32)


def one_norm(norm: tf.keras.layers.Layer) -> tf.keras.Model:
    return tf.keras.Sequential([tf.keras.Input((8, 8, 3)), norm])


def statistics(model: tf.keras.Model) -> dict[str, np.ndarray]:
    return {v.name: v.numpy() for v in model.weights if "moving_" in v.name}


@pytest.mark.parametrize("norm", [BatchNorm, layers.BatchNormalization])
@pytest.mark.parametrize("sizes", [[24], [8, 8, 8], [1, 20, 3]])
def test_moments_of_all_data(norm, sizes):
    images = pictures()
    norm = norm(scale=False)
    assert recalibrate_batch_norm(one_norm(norm), batches(images, sizes)) == 24
    values = images.astype(np.float64).reshape(-1, 3)
    np.testing.assert_allclose(norm.moving_mean, values.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(norm.moving_variance, values.var(axis=0, ddof=1), rtol=1e-5)


def test_far_from_zero():
    # Sums of squares in float32 would give a variance of 0 or less here.
    images = pictures() * 0.01 + 1000
    norm = BatchNorm()
    recalibrate_batch_norm(one_norm(norm), batches(images, [10, 14]))
    expected = images.astype(np.float64).reshape(-1, 3).var(axis=0, ddof=1)
    np.testing.assert_allclose(norm.moving_variance, expected, rtol=1e-2)


def test_one_batch_then_equals_training_mode():
    model = ReActNetTiny((8, 8, 3), include_top=False, pooling="avg")
    images = pictures()
    expected = model(images, training=True).numpy()
    recalibrate_batch_norm(model, [images])
    actual = model(images, training=False).numpy()
    # Bessel's correction is in the moving variance alone: 24 values at the last resolution.
    correlation = np.corrcoef(actual.ravel(), expected.ravel())[0, 1]
    assert correlation > 0.98


def test_vectors_and_nested_models():
    inner = tf.keras.Sequential(
        [tf.keras.Input((8, 8, 3)), layers.GlobalAveragePooling2D(), BatchNorm(name="deep")]
    )
    model = tf.keras.Sequential([inner, layers.Dense(2), layers.BatchNormalization(name="last")])
    model.build((None, 8, 8, 3))
    images = pictures()
    recalibrate_batch_norm(model, batches(images, [12, 12]))
    pooled = images.astype(np.float64).mean(axis=(1, 2))
    np.testing.assert_allclose(inner.layers[-1].moving_mean, pooled.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(
        inner.layers[-1].moving_variance, pooled.var(axis=0, ddof=1), rtol=1e-4
    )


def test_channels_first_axis():
    norm = layers.BatchNormalization(axis=1)
    images = pictures()
    recalibrate_batch_norm(one_norm(norm), [images])
    np.testing.assert_allclose(norm.moving_mean, images.mean(axis=(0, 2, 3)), rtol=1e-5)


class TestOthersUntouched:
    def test_weights(self):
        model = ReActNetTiny((8, 8, 3))
        before = {v.name: v.numpy() for v in model.weights}
        recalibrate_batch_norm(model, [pictures()])
        changed = {v.name for v in model.weights if not np.array_equal(before[v.name], v)}
        assert changed == set(statistics(model))

    def test_dropout_is_off_and_results_repeat(self):
        model = tf.keras.Sequential(
            [tf.keras.Input((8, 8, 3)), layers.Dropout(0.5), BatchNorm(name="norm")]
        )
        recalibrate_batch_norm(model, [pictures()])
        first = model.get_layer("norm").moving_mean.numpy()
        np.testing.assert_allclose(first, pictures().mean(axis=(0, 1, 2)), rtol=1e-5)
        recalibrate_batch_norm(model, [pictures()])
        np.testing.assert_array_equal(first, model.get_layer("norm").moving_mean)

    def test_layers_are_ordinary_again(self):
        norm = BatchNorm()
        model = one_norm(norm)
        recalibrate_batch_norm(model, [pictures()])
        before = norm.moving_mean.numpy()
        model(pictures() + 5, training=True)
        np.testing.assert_allclose(norm.moving_mean, before + 0.1 * 5, rtol=1e-5)

    @pytest.mark.parametrize("bad", ["rank", "value", "stop"])
    def test_after_an_error(self, bad):
        norm = BatchNorm()
        model = one_norm(norm)
        before = statistics(model)

        def data():
            yield pictures()
            if bad == "stop":
                raise OSError("a bad disk")
            yield pictures()[0] if bad == "rank" else pictures() * np.nan

        with pytest.raises((UserError, OSError)):
            recalibrate_batch_norm(model, data())
        for name, value in statistics(model).items():
            np.testing.assert_array_equal(value, before[name])
        np.testing.assert_allclose(model(pictures()), pictures(), rtol=1e-4)


def test_frozen_layers_are_measured():
    norm = BatchNorm(trainable=False)
    recalibrate_batch_norm(one_norm(norm), [pictures()])
    np.testing.assert_allclose(norm.moving_mean, pictures().mean(axis=(0, 1, 2)), rtol=1e-5)


def test_mixed_precision():
    norm = BatchNorm(dtype="mixed_bfloat16")
    recalibrate_batch_norm(one_norm(norm), [pictures()])
    np.testing.assert_allclose(norm.moving_mean, pictures().mean(axis=(0, 1, 2)), rtol=1e-2)
    assert norm.moving_mean.dtype == tf.float32


def test_max_batches_and_labels():
    data = tf.data.Dataset.from_tensor_slices((pictures(), np.arange(24))).batch(6).repeat()
    norm = BatchNorm()
    assert recalibrate_batch_norm(one_norm(norm), data, max_batches=2) == 12
    np.testing.assert_allclose(norm.moving_mean, pictures()[:12].mean(axis=(0, 1, 2)), rtol=1e-5)


def test_refusals():
    model = one_norm(BatchNorm())
    with pytest.raises(UserError, match="at least one batch"):
        recalibrate_batch_norm(model, [])
    with pytest.raises(UserError, match="must have rank 4"):
        recalibrate_batch_norm(model, pictures())
    with pytest.raises(UserError, match="`max_batches`"):
        recalibrate_batch_norm(model, [pictures()], max_batches=0)
    with pytest.raises(UserError, match="must have batch norm layers"):
        recalibrate_batch_norm(one_norm(layers.ReLU()), [pictures()])
