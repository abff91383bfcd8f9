"""Soft cross entropy against sums of exponentials in float64."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from burn_tf.losses import SoftCrossEntropyLoss, kl_divergence, soft_cross_entropy

TARGET, STUDENT = np.random.default_rng(30).standard_normal((2, 4, 7))


def oracle(target: np.ndarray, student: np.ndarray, temperature: float = 0.2) -> np.ndarray:
    weights, others = np.exp(target / temperature), np.exp(student / temperature)
    p = weights / weights.sum(axis=-1, keepdims=True)
    return -(p * np.log(others / others.sum(axis=-1, keepdims=True))).sum(axis=-1)


@pytest.mark.parametrize("temperature", [0.2, 1.0, 3.0])
def test_value_and_gradient(temperature: float, tape_gradient, central_difference) -> None:
    value = soft_cross_entropy(TARGET, STUDENT, temperature)
    assert value.dtype == tf.float64
    np.testing.assert_allclose(value, oracle(TARGET, STUDENT, temperature), rtol=1e-11)
    target_slope, slope = tape_gradient(
        lambda t, s: soft_cross_entropy(t, s, temperature), TARGET, STUDENT
    )
    assert target_slope is None
    expected = central_difference(lambda s: oracle(TARGET, s, temperature), STUDENT)[0]
    np.testing.assert_allclose(slope, expected, rtol=1e-5, atol=1e-7)


def test_is_the_divergence_plus_the_target_s_entropy() -> None:
    entropy = soft_cross_entropy(TARGET, TARGET)
    np.testing.assert_allclose(
        soft_cross_entropy(TARGET, STUDENT), kl_divergence(TARGET, STUDENT) + entropy, rtol=1e-11
    )


def test_literal_values() -> None:
    """A sure target: the logarithm of the one probability, here 1 / 4 and 1 / (1 + 3 / e)."""
    sure = 1e3 * np.eye(4)[:1]
    np.testing.assert_allclose(soft_cross_entropy(sure, np.zeros((1, 4))), np.log(4))
    value = soft_cross_entropy(sure, np.eye(4)[:1], 1.0)
    np.testing.assert_allclose(value, np.log(1 + 3 / np.e))


def test_large_logits_stay_finite(tape_gradient) -> None:
    target, student = (1e30 * x.astype(np.float32) for x in (TARGET, STUDENT))
    assert np.isfinite(soft_cross_entropy(target, student)).all()
    assert np.isfinite(tape_gradient(lambda s: soft_cross_entropy(target, s), student)[0]).all()


def test_loss_and_config() -> None:
    loss = SoftCrossEntropyLoss(temperature=0.5, name="x")
    again = SoftCrossEntropyLoss.from_config(loss.get_config())
    assert again.get_config() == loss.get_config()
    expected = oracle(TARGET, STUDENT, 0.5).mean()
    np.testing.assert_allclose(again(TARGET, STUDENT), expected, rtol=1e-6)


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="same batch and channels"):
        soft_cross_entropy(TARGET, STUDENT[:, :5])
    with pytest.raises(ValueError, match="rank 2"):
        soft_cross_entropy(TARGET[0], STUDENT[0])
    with pytest.raises(ValueError, match="`temperature`"):
        SoftCrossEntropyLoss(temperature=0)
