"""KL divergence against sums of exponentials in float64."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from burn_tf.losses import KLDivergenceLoss, kl_divergence

RNG = np.random.default_rng(0)
TARGET, STUDENT = RNG.standard_normal((2, 4, 7))


def softmax(logits: np.ndarray) -> np.ndarray:
    weights = np.exp(logits)
    return weights / weights.sum(axis=-1, keepdims=True)


def oracle(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    return (p * np.log(p / q)).sum(axis=-1)


@pytest.mark.parametrize("temperature", [0.2, 1.0, 3.0])
@pytest.mark.parametrize("direction", ["target_student", "student_target"])
class TestAgainstOracle:
    def expected(self, target, student, temperature, direction) -> np.ndarray:
        p1, p2 = softmax(target / temperature), softmax(student / temperature)
        return oracle(p1, p2) if direction == "target_student" else oracle(p2, p1)

    def test_value(self, temperature: float, direction: str) -> None:
        value = kl_divergence(TARGET, STUDENT, temperature, direction)
        assert value.dtype == tf.float64
        np.testing.assert_allclose(
            value, self.expected(TARGET, STUDENT, temperature, direction), rtol=1e-11
        )

    def test_gradient_of_both_sides(
        self, temperature: float, direction: str, tape_gradient, central_difference
    ) -> None:
        slopes = tape_gradient(
            lambda t, s: kl_divergence(t, s, temperature, direction), TARGET, STUDENT
        )
        expected = central_difference(
            lambda t, s: self.expected(t, s, temperature, direction), TARGET, STUDENT
        )
        for slope, numeric in zip(slopes, expected, strict=True):
            np.testing.assert_allclose(slope, numeric, rtol=1e-5, atol=1e-7)


def test_gradient_in_closed_form(tape_gradient) -> None:
    target_slope, student_slope = tape_gradient(kl_divergence, TARGET, STUDENT)
    p1, p2 = softmax(TARGET / 0.2), softmax(STUDENT / 0.2)
    np.testing.assert_allclose(student_slope, (p2 - p1) / 0.2, rtol=1e-9, atol=1e-13)
    surprise = np.log(p1 / p2) - oracle(p1, p2)[:, np.newaxis]
    np.testing.assert_allclose(target_slope, p1 * surprise / 0.2, rtol=1e-9, atol=1e-13)


def test_literal_value() -> None:
    target = np.log([[0.5, 0.25, 0.25]])
    student = np.log([[0.25, 0.25, 0.5]])
    np.testing.assert_allclose(kl_divergence(target, student, 1.0), [0.25 * np.log(2)], rtol=1e-12)


def test_default_is_the_authors_temperature_and_equation_1() -> None:
    explicit = kl_divergence(TARGET, STUDENT, temperature=0.2, direction="target_student")
    np.testing.assert_array_equal(kl_divergence(TARGET, STUDENT), explicit)


def test_directions_are_each_other_with_sides_exchanged() -> None:
    one = kl_divergence(TARGET, STUDENT, direction="student_target")
    np.testing.assert_allclose(one, kl_divergence(STUDENT, TARGET), rtol=1e-12)
    assert not np.allclose(one, kl_divergence(TARGET, STUDENT), rtol=0.01)


def test_invariant_to_shifts_and_order_of_classes() -> None:
    value = kl_divergence(TARGET, STUDENT)
    shifted = kl_divergence(TARGET + 5.0, STUDENT - RNG.standard_normal((4, 1)))
    np.testing.assert_allclose(shifted, value, rtol=1e-10)
    order = RNG.permutation(7)
    np.testing.assert_allclose(
        kl_divergence(TARGET[:, order], STUDENT[:, order]), value, rtol=1e-10
    )


def test_zero_for_equal_distributions_and_positive_otherwise() -> None:
    np.testing.assert_array_equal(kl_divergence(TARGET, TARGET), np.zeros(4))
    assert np.all(kl_divergence(TARGET, STUDENT) > 0.01)


@pytest.mark.parametrize("size", [1e4, 6e4, 1e30])
@pytest.mark.parametrize("direction", ["target_student", "student_target"])
def test_large_logits_stay_finite(size: float, direction: str, tape_gradient) -> None:
    target = np.array([[size, 0.0, -size]], np.float32)
    student = np.array([[-size, 0.0, size]], np.float32)
    value = kl_divergence(target, student, direction=direction)
    np.testing.assert_allclose(value, [2 * size / 0.2], rtol=1e-6)
    slopes = tape_gradient(lambda t, s: kl_divergence(t, s, direction=direction), target, student)
    assert all(np.isfinite(slope).all() for slope in slopes)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_computed_in_float32(dtype: str) -> None:
    target, student = tf.cast(TARGET, dtype), tf.cast(STUDENT, dtype)
    value = kl_divergence(target, student)
    assert value.dtype == tf.float32
    wide = kl_divergence(tf.cast(target, tf.float32), tf.cast(student, tf.float32))
    np.testing.assert_array_equal(value, wide)


def test_loss_is_the_mean_over_the_batch() -> None:
    loss = KLDivergenceLoss(temperature=0.5, direction="student_target")
    expected = kl_divergence(TARGET, STUDENT, 0.5, "student_target").numpy().mean()
    np.testing.assert_allclose(loss(TARGET, STUDENT), expected, rtol=1e-6)


def test_config_carries_every_argument() -> None:
    loss = KLDivergenceLoss(0.5, "student_target", reduction="none", name="x")
    again = KLDivergenceLoss.from_config(loss.get_config())
    assert again.get_config() == loss.get_config()
    np.testing.assert_array_equal(again(TARGET, STUDENT), loss(TARGET, STUDENT))
    assert again(TARGET, STUDENT).shape == (4,)


@pytest.mark.parametrize(
    "build", [KLDivergenceLoss, lambda **k: kl_divergence(TARGET, STUDENT, **k)]
)
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"direction": "target-student"}, "Did you mean 'target_student'.*Received"),
        ({"temperature": 0.0}, "`temperature`.*Received: 0.0"),
        ({"temperature": float("nan")}, "`temperature`"),
    ],
)
def test_bad_arguments(build, arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(**arguments)


def test_bad_shapes() -> None:
    with pytest.raises(ValueError, match="same batch and channels"):
        kl_divergence(TARGET, STUDENT[:, :5])
    with pytest.raises(ValueError, match="rank 2"):
        kl_divergence(TARGET[0], STUDENT[0])
