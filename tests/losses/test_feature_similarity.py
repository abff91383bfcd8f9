"""Feature distances against NumPy in float64."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from burn_tf.losses import FeatureSimilarityLoss, feature_similarity

RNG = np.random.default_rng(1)
TARGET, STUDENT = RNG.standard_normal((2, 4, 6))
KINDS = ["cosine", "l1", "l2", "normalized_l2"]


def oracle(target: np.ndarray, student: np.ndarray, kind: str) -> np.ndarray:
    if kind == "l1":
        return np.abs(target - student).mean(axis=1)
    if kind == "l2":
        return ((target - student) ** 2).mean(axis=1)
    lengths = np.linalg.norm(target, axis=1), np.linalg.norm(student, axis=1)
    if kind == "normalized_l2":
        units = target / lengths[0][:, None], student / lengths[1][:, None]
        return ((units[0] - units[1]) ** 2).sum(axis=1)
    return 1 - np.einsum("bd,bd->b", target, student) / lengths[0] / lengths[1]


@pytest.mark.parametrize("kind", KINDS)
def test_value_and_gradient(kind: str, tape_gradient, central_difference) -> None:
    value = feature_similarity(TARGET, STUDENT, kind)
    assert value.dtype == tf.float64
    np.testing.assert_allclose(value, oracle(TARGET, STUDENT, kind), rtol=1e-12)
    target_slope, student_slope = tape_gradient(
        lambda t, s: feature_similarity(t, s, kind), TARGET, STUDENT
    )
    assert target_slope is None
    expected = central_difference(lambda s: oracle(TARGET, s, kind), STUDENT)[0]
    np.testing.assert_allclose(student_slope, expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    ("kind", "expected"), [("cosine", 0.04), ("l1", 1.0), ("l2", 1.0), ("normalized_l2", 0.08)]
)
def test_literal_value(kind: str, expected: float) -> None:
    value = feature_similarity(tf.constant([[3.0, 4.0]]), tf.constant([[4.0, 3.0]]), kind)
    np.testing.assert_allclose(value, [expected], rtol=1e-5)


def test_cosine_ignores_length_and_rotation_and_others_do_not() -> None:
    value = feature_similarity(TARGET, STUDENT)
    np.testing.assert_allclose(feature_similarity(7 * TARGET, STUDENT / 3), value, rtol=1e-12)
    rotation = np.linalg.qr(RNG.standard_normal((6, 6)))[0]
    turned = feature_similarity(TARGET @ rotation, STUDENT @ rotation)
    np.testing.assert_allclose(turned, value, rtol=1e-12)
    for kind in ("l1", "l2"):
        longer = feature_similarity(7 * TARGET, 7 * STUDENT, kind)
        power = 1 if kind == "l1" else 2
        np.testing.assert_allclose(longer, 7**power * oracle(TARGET, STUDENT, kind), rtol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_zero_and_huge_vectors_stay_finite(kind: str, tape_gradient) -> None:
    target = np.array([[0, 0], [1, 2], [0, 0], [6e4, 0]], np.float16)
    student = np.array([[1, 2], [0, 0], [0, 0], [-6e4, 0]], np.float16)
    value = feature_similarity(target, student, kind)
    if kind == "cosine":
        np.testing.assert_allclose(value, [1, 1, 1, 2], rtol=1e-6)
    assert np.isfinite(value).all()
    slope = tape_gradient(lambda s: feature_similarity(target, s, kind), student.astype(np.float32))
    assert np.isfinite(slope[0]).all()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_computed_in_float32(dtype: str) -> None:
    target, student = tf.cast(TARGET, dtype), tf.cast(STUDENT, dtype)
    value = feature_similarity(target, student)
    assert value.dtype == tf.float32
    wide = feature_similarity(tf.cast(target, tf.float32), tf.cast(student, tf.float32))
    np.testing.assert_array_equal(value, wide)


@pytest.mark.parametrize("kind", KINDS)
def test_loss_and_config(kind: str) -> None:
    loss = FeatureSimilarityLoss(kind=kind, name="x")
    again = FeatureSimilarityLoss.from_config(loss.get_config())
    assert again.get_config() == loss.get_config()
    np.testing.assert_allclose(
        again(TARGET, STUDENT), oracle(TARGET, STUDENT, kind).mean(), rtol=1e-6
    )


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match=r"Did you mean 'cosine'.*Received: 'cosin'"):
        feature_similarity(TARGET, STUDENT, "cosin")
    with pytest.raises(ValueError, match="`kind`"):
        FeatureSimilarityLoss(kind="L3")
    with pytest.raises(ValueError, match="same batch and channels"):
        feature_similarity(TARGET, STUDENT[:3])
    with pytest.raises(ValueError, match="rank 2"):
        feature_similarity(TARGET[np.newaxis], STUDENT[np.newaxis])
