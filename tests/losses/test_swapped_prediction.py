"""SwAV's swapped prediction against explicit loops in float64."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from burn_tf.losses import SwappedPredictionLoss, swapped_prediction

RNG = np.random.default_rng(24)
CODES = RNG.dirichlet(np.ones(6), (3, 4))
SCORES = RNG.uniform(-1, 1, (4, 4, 6))


def oracle(codes: np.ndarray, scores: np.ndarray, temperature: float = 0.1) -> np.ndarray:
    weights = np.exp(scores / temperature)
    logarithms = np.log(weights / weights.sum(axis=-1, keepdims=True))
    pairs = [(g, j) for g in range(len(codes)) for j in range(len(scores)) if j != g]
    return -sum((codes[g] * logarithms[j]).sum(axis=-1) for g, j in pairs) / len(pairs)


@pytest.mark.parametrize(("coded", "views"), [(2, 2), (2, 4), (3, 3), (1, 2)])
def test_value_and_gradient(coded: int, views: int, tape_gradient, central_difference) -> None:
    codes, scores = CODES[:coded], SCORES[:views]
    value = swapped_prediction(codes, scores)
    assert value.dtype == tf.float64
    np.testing.assert_allclose(value, oracle(codes, scores), rtol=1e-11)
    code_slope, slope = tape_gradient(swapped_prediction, codes, scores)
    assert code_slope is None
    expected = central_difference(lambda s: oracle(codes, s), scores)[0]
    np.testing.assert_allclose(slope, expected, rtol=1e-5, atol=1e-8)


def test_literal_values() -> None:
    """Even scores: log P whatever the codes. Codes that the other view is sure of: 0."""
    np.testing.assert_allclose(swapped_prediction(CODES[:2], 0 * SCORES[:2]), np.log([6] * 4))
    first, second = np.eye(2)
    codes = np.stack([[first], [second]])
    assert float(swapped_prediction(codes, 9 * codes[::-1])[0]) < 1e-12
    np.testing.assert_allclose(swapped_prediction(codes, 9 * codes), [90])


def test_a_view_does_not_predict_its_own_code() -> None:
    moved = SCORES[:2].copy()
    moved[0] += RNG.standard_normal((4, 6))
    own = swapped_prediction(CODES[:1], moved) - swapped_prediction(CODES[:1], SCORES[:2])
    np.testing.assert_allclose(own, 0, atol=1e-12)


def test_invariant_to_a_shift_of_all_scores_and_images_do_not_mix() -> None:
    value = swapped_prediction(CODES, SCORES)
    np.testing.assert_allclose(swapped_prediction(CODES, SCORES + 3), value, rtol=1e-10)
    alone = [swapped_prediction(CODES[:, i : i + 1], SCORES[:, i : i + 1])[0] for i in range(4)]
    np.testing.assert_allclose(value, alone, rtol=1e-12)


def test_large_scores_stay_finite(tape_gradient) -> None:
    scores = (1e30 * SCORES).astype(np.float32)
    assert np.isfinite(swapped_prediction(CODES, scores)).all()
    assert np.isfinite(tape_gradient(lambda s: swapped_prediction(CODES, s), scores)[0]).all()


def test_loss_and_config() -> None:
    loss = SwappedPredictionLoss(temperature=0.5, name="x")
    again = SwappedPredictionLoss.from_config(loss.get_config())
    assert again.get_config() == loss.get_config()
    expected = oracle(CODES, SCORES, 0.5).mean()
    np.testing.assert_allclose(again(CODES, SCORES), expected, rtol=1e-6)


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match=r"`codes` must belong to 1 to 2 views.*\(3, 4, 6\)"):
        swapped_prediction(CODES, SCORES[:2])
    with pytest.raises(ValueError, match="same batch and channels"):
        swapped_prediction(CODES, SCORES[..., :5])
    with pytest.raises(ValueError, match="at least 2 views"):
        swapped_prediction(CODES[:1], SCORES[:1])
    with pytest.raises(ValueError, match="`codes` must have rank 3"):
        swapped_prediction(CODES[0], SCORES)
    with pytest.raises(ValueError, match="`temperature`"):
        SwappedPredictionLoss(temperature=0)
