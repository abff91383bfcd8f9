"""Top-k accuracy and its rule for ties."""

from __future__ import annotations

import numpy as np
import pytest

from burn_tf.evaluation import metrics
from burn_tf.evaluation.metrics import classification_metrics, top_k_accuracy


def test_literal_values():
    scores = np.array([[3.0, 2.0, 1.0], [1.0, 2.0, 3.0], [2.0, 3.0, 1.0], [1.0, 3.0, 2.0]])
    labels = np.array([0, 2, 2, 2])
    assert top_k_accuracy(scores, labels, 1) == 50.0
    assert top_k_accuracy(scores, labels, 2) == 75.0
    assert top_k_accuracy(scores, labels, 3) == 100.0


def test_constant_scores_are_right_on_one_class_only():
    labels = np.arange(10)
    assert top_k_accuracy(np.zeros([10, 10]), labels, 1) == 10.0
    assert top_k_accuracy(np.zeros([10, 10]), labels, 5) == 50.0


def test_agrees_with_a_stable_sort():
    rng = np.random.default_rng(0)
    scores, labels = rng.integers(0, 4, (200, 7)).astype(float), rng.integers(0, 7, 200)
    ranked = np.argsort(-scores, axis=1, kind="stable")
    for k in (1, 3, 5):
        expected = 100 * np.mean(
            [label in row[:k] for row, label in zip(ranked, labels, strict=True)]
        )
        assert top_k_accuracy(scores, labels, k) == pytest.approx(expected)


@pytest.mark.parametrize(("classes", "names"), [(5, {"top1"}), (6, {"top1", "top5"})])
def test_top5_only_where_it_can_miss(classes, names):
    assert set(classification_metrics(np.eye(classes), np.arange(classes))) == names


def test_ranks_in_parts_are_the_whole(monkeypatch):
    rng = np.random.default_rng(0)
    scores, labels = rng.integers(0, 4, (50, 7)).astype(float), rng.integers(0, 7, 50)
    # By sorting: higher scores first, equal ones by class.
    order = [sorted((-score, place) for place, score in enumerate(row)) for row in scores]
    expected = [
        [place for _, place in found].index(label)
        for found, label in zip(order, labels, strict=True)
    ]
    for rows in (4096, 7):
        monkeypatch.setattr(metrics, "_ROWS", rows)
        assert metrics.label_ranks(scores, labels).tolist() == expected
