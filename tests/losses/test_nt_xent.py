"""NT-Xent against explicit loops in float64, and across replicas."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from burn_tf.losses import NTXentLoss, nt_xent

EMBEDDINGS = np.random.default_rng(22).standard_normal((3, 4, 5))


def oracle(embeddings: np.ndarray, temperature: float = 0.1) -> np.ndarray:
    views, batch, _ = embeddings.shape
    unit = embeddings / np.sqrt((embeddings**2).sum(axis=-1, keepdims=True))
    values = np.zeros(batch)
    for image in range(batch):
        others = np.delete(unit, image, axis=1).reshape(-1, unit.shape[-1])
        for j in range(views):
            wrong = sum(np.exp(unit[j, image] @ other / temperature) for other in others)
            for view in set(range(views)) - {j}:
                right = np.exp(unit[j, image] @ unit[view, image] / temperature)
                values[image] -= np.log(right / (right + wrong))
    return values / (views * (views - 1))


@pytest.mark.parametrize("views", [2, 3])
@pytest.mark.parametrize("temperature", [0.1, 0.5])
def test_value_and_gradient(
    views: int, temperature: float, tape_gradient, central_difference
) -> None:
    z = EMBEDDINGS[:views]
    value = nt_xent(z, temperature)
    assert value.dtype == tf.float64
    np.testing.assert_allclose(value, oracle(z, temperature), rtol=1e-11)
    (slope,) = tape_gradient(lambda x: nt_xent(x, temperature), z)
    expected = central_difference(lambda x: oracle(x, temperature), z)[0]
    np.testing.assert_allclose(slope, expected, rtol=1e-5, atol=1e-7)


def test_two_views_give_the_paper_s_softmax_over_all_but_oneself() -> None:
    """Eq. 1 as printed: a softmax over the 2 N - 1 other rows, whose target is the partner's."""
    rows = EMBEDDINGS[:2].reshape(8, 5)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    logits = rows @ rows.T / 0.1
    np.fill_diagonal(logits, -np.inf)
    logits -= np.log(np.exp(logits).sum(axis=1, keepdims=True))
    per_row = -logits[np.arange(8), (np.arange(8) + 4) % 8]
    np.testing.assert_allclose(nt_xent(EMBEDDINGS[:2]), (per_row[:4] + per_row[4:]) / 2)


def test_literal_values() -> None:
    """All alike, two images: the partner and two negatives, log 3; one image: nothing to tell."""
    np.testing.assert_allclose(nt_xent(np.ones((2, 2, 3))), np.log([3, 3]))
    np.testing.assert_array_equal(nt_xent(np.ones((2, 1, 3))), [0])


def test_invariant_to_length_and_order() -> None:
    value = oracle(EMBEDDINGS)
    np.testing.assert_allclose(nt_xent(7 * EMBEDDINGS), value, rtol=1e-11)
    np.testing.assert_allclose(nt_xent(EMBEDDINGS[[2, 0, 1]]), value, rtol=1e-11)
    np.testing.assert_allclose(nt_xent(EMBEDDINGS[:, ::-1]), value[::-1], rtol=1e-11)


@pytest.mark.parametrize("shape", [(2, 3, 5), (2, 1, 5)])
def test_zero_vectors_and_lone_images_stay_finite(shape: tuple, tape_gradient) -> None:
    zeros = np.zeros(shape, np.float32)
    others = 2 * (shape[1] - 1)
    np.testing.assert_allclose(nt_xent(zeros), np.log([1 + others] * shape[1]), rtol=1e-6)
    for embeddings in (zeros, zeros + 1):
        (slope,) = tape_gradient(nt_xent, embeddings)
        np.testing.assert_allclose(slope, zeros, atol=1e-6)


def test_two_replicas_equal_one(check_global_batch) -> None:
    check_global_batch(nt_xent, EMBEDDINGS, 1)


def test_images_keep_their_places_on_replicas(on_two_replicas) -> None:
    values, _ = on_two_replicas(nt_xent, [EMBEDDINGS], [1])
    np.testing.assert_allclose(np.concatenate(values), oracle(EMBEDDINGS), rtol=1e-11)


def test_loss_and_config() -> None:
    loss = NTXentLoss(temperature=0.5, name="x")
    again = NTXentLoss.from_config(loss.get_config())
    assert again.get_config() == loss.get_config()
    np.testing.assert_allclose(again(None, EMBEDDINGS), oracle(EMBEDDINGS, 0.5).mean(), rtol=1e-6)


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match=r"at least 2 views.*Received: shape \(1, 4, 5\)"):
        nt_xent(EMBEDDINGS[:1])
    with pytest.raises(ValueError, match="`embeddings` must have rank 3"):
        nt_xent(EMBEDDINGS[0])
    with pytest.raises(ValueError, match="`temperature`"):
        NTXentLoss(temperature=-1)
