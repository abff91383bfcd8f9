"""Closed-form probe against an independent least-squares solution."""

from __future__ import annotations

import numpy as np
import pytest

from burn_tf._checks import UserError
from burn_tf.evaluation import FastLinearProbe, fast_linear, raw_pixels


def _oracle(features, labels, queries, classes, relative_ridge):
    """Ridge by stacking sqrt(r) I under the standardised rows, without normal equations."""
    mean, deviation = features.mean(0), features.std(0)
    rows, asked = (features - mean) / deviation, (queries - mean) / deviation
    rank = min(features.shape)
    if features.shape[1] >= features.shape[0]:
        rank -= 1  # centring takes one direction away
    ridge = relative_ridge * np.sum(rows**2) / rank
    dim = features.shape[1]
    stacked = np.block(
        [[rows, np.ones((len(rows), 1))], [np.sqrt(ridge) * np.eye(dim), np.zeros((dim, 1))]]
    )
    targets = np.concatenate([np.eye(classes)[labels], np.zeros((dim, classes))])
    weights = np.linalg.lstsq(stacked, targets, rcond=None)[0]
    return asked @ weights[:-1] + weights[-1]


def _problem(images, dim, classes=3, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.arange(images) % classes
    centres = rng.normal(size=(classes, dim))
    features = centres[labels] + rng.normal(size=(images, dim)) * 2.0
    return features.astype(np.float32), labels, rng.normal(size=(11, dim)).astype(np.float32)


@pytest.mark.parametrize(("images", "dim"), [(60, 7), (5000, 4), (20, 45)])
@pytest.mark.parametrize("ridge", [1e-3, 1.0])
def test_scores_equal_least_squares(monkeypatch, images, dim, ridge):
    monkeypatch.setattr(fast_linear, "_COLUMNS", 16)
    features, labels, queries = _problem(images, dim)
    scores = FastLinearProbe(ridges=[ridge]).fit_scores(features, labels, queries, 3)
    as_float64 = [part.astype(np.float64) for part in (features, queries)]
    expected = _oracle(as_float64[0], labels, as_float64[1], 3, ridge)
    np.testing.assert_allclose(scores, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dim", [6, 200])
def test_units_of_the_features_do_not_matter(dim):
    features, labels, queries = _problem(90, dim)
    scale, shift = np.geomspace(0.01, 100.0, dim), np.linspace(-5.0, 5.0, dim)
    probe = FastLinearProbe(ridges=[0.1])
    scores = probe.fit_scores(features * scale + shift, labels, queries * scale + shift, 3)
    np.testing.assert_allclose(scores, probe.fit_scores(features, labels, queries, 3), atol=1e-4)


@pytest.mark.parametrize("dim", [6, 200])
@pytest.mark.parametrize("value", [0.0, 7.3, 1e6])
def test_constant_features_have_no_influence(dim, value):
    features, labels, queries = _problem(90, dim)

    def padded(rows, filling):
        return np.concatenate([rows, np.full((len(rows), 3), filling, np.float32)], axis=1)

    # The queries' constant differs: divided by a deviation near 0 it would swamp every score.
    probe = FastLinearProbe(ridges=[1e-6])
    scores = probe.fit_scores(padded(features, value), labels, padded(queries, value + 1.0), 3)
    expected = probe.fit_scores(features, labels, queries, 3)
    np.testing.assert_array_equal(scores.argmax(1), expected.argmax(1))


def test_all_features_constant_predict_the_largest_class():
    labels = np.array([0, 1, 1, 1, 2, 1])
    scores = FastLinearProbe().fit_scores(np.ones((6, 4)), labels, np.ones((2, 4)), 3)
    np.testing.assert_allclose(scores, np.tile([1 / 6, 4 / 6, 1 / 6], (2, 1)), atol=1e-9)


def test_the_held_out_part_chooses_the_ridge():
    rng = np.random.default_rng(3)
    labels = np.arange(200) % 2
    noise = rng.normal(size=(200, 150))
    noise[:, 0] += 2.0 * labels
    noisy = FastLinearProbe()
    noisy.fit_scores(noise, labels, noise[:1], 2)
    assert noisy.chosen_ridge in noisy.ridges and noisy.chosen_ridge >= 0.1
    # A direction of little variance that decides everything needs a small ridge.
    shared = rng.normal(size=(200, 1))
    hidden = np.concatenate([shared, shared + 0.01 * (2 * labels[:, None] - 1)], axis=1)
    exact = FastLinearProbe()
    exact.fit_scores(hidden, labels, hidden[:1], 2)
    assert exact.chosen_ridge is not None and exact.chosen_ridge <= 1e-3


def test_one_image_of_a_class_is_enough():
    features = np.array([[0.0, 1.0], [0.1, 1.1], [5.0, 1.0]])
    scores = FastLinearProbe().fit_scores(features, np.array([0, 0, 1]), features, 2)
    assert scores.argmax(1).tolist() == [0, 0, 1]


def test_the_same_seed_gives_the_same_scores():
    features, labels, queries = _problem(60, 7)
    first, second = (FastLinearProbe(seed=4).fit_scores(features, labels, queries, 3) for _ in "ab")
    np.testing.assert_array_equal(first, second)


def test_golden_features_give_the_golden_accuracy(golden):
    result = FastLinearProbe().run(raw_pixels, golden)
    assert result.protocol == "linear:fast" and result.metrics == {"top1": 92.5}
    assert result.provenance["settings"]["chosen_ridge"] in result.provenance["settings"]["ridges"]


def test_too_many_features_and_images_are_refused():
    features = np.zeros((8193, 8193), np.float16)
    with pytest.raises(UserError, match="8192"):
        FastLinearProbe().fit_scores(features, np.zeros(8193, int), features[:1], 2)


@pytest.mark.parametrize(
    "arguments",
    [{"ridges": []}, {"ridges": [0.0]}, {"held_out": 0.0}, {"held_out": 1.0}, {"seed": -1}],
)
def test_arguments_are_checked(arguments):
    with pytest.raises(UserError, match=next(iter(arguments))):
        FastLinearProbe(**arguments)
