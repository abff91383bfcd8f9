"""Average precision against scikit-learn and against VOC's devkit written out."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from burn_tf._checks import UserError
from burn_tf.evaluation import average_precision, mean_average_precision


def devkit_eleven(scores, targets):
    """VOCevalcls of the VOC2007 devkit, for scores without ties: loops, exact fractions."""
    from fractions import Fraction

    ranked = sorted(zip(scores, targets, strict=True), key=lambda pair: -pair[0])
    ranked = [target for _, target in ranked if target != -1]
    positives = ranked.count(1)
    points = []
    for taken in range(1, len(ranked) + 1):
        hits = ranked[:taken].count(1)
        points.append((Fraction(hits, positives), Fraction(hits, taken)))
    total = Fraction(0)
    for step in range(11):
        total += max((p for r, p in points if r >= Fraction(step, 10)), default=Fraction(0))
    return float(total / 11)


@pytest.fixture
def cases():
    generator = np.random.default_rng(0)
    made = []
    for number in (1, 2, 3, 10, 50, 200) * 5:
        targets = generator.choice([1, 0, -1], number, p=[0.3, 0.5, 0.2])
        targets[generator.integers(number)] = 1
        made.append((generator.permutation(number).astype(float), targets))
    return made


def test_eleven_points_equal_the_devkit(cases):
    for scores, targets in cases:
        found = average_precision(scores, targets, "eleven")
        assert found == pytest.approx(devkit_eleven(scores, targets), abs=1e-12)


def test_all_points_equal_scikit_learn(cases):
    for scores, targets in cases:
        counted = targets != -1
        for tied in (scores, np.round(scores / 4)):
            wanted = average_precision_score(targets[counted] == 1, tied[counted])
            assert average_precision(tied, targets) == pytest.approx(wanted, abs=1e-12)


def test_by_hand():
    # Ranks: hit, miss, hit. Recall 1/2 at precision 1, recall 1 at precision 2/3.
    scores, targets = np.array([3.0, 2.0, 1.0]), np.array([1, 0, 1])
    assert average_precision(scores, targets) == pytest.approx((1 + 2 / 3) / 2)
    assert average_precision(scores, targets, "eleven") == pytest.approx((6 + 5 * 2 / 3) / 11)


@pytest.mark.parametrize("points", ["eleven", "all"])
def test_difficult_images_count_neither_way(points):
    scores = np.array([0.9, 0.8, 0.7, 0.6])
    with_difficult = average_precision(scores, np.array([1, -1, -1, 1]), points)
    assert with_difficult == average_precision(scores[[0, 3]], np.array([1, 1]), points) == 1.0


@pytest.mark.parametrize("points", ["eleven", "all"])
@pytest.mark.parametrize("order", [[1, 0, 0, 0], [0, 0, 0, 1]])
def test_a_constant_score_is_worth_the_share_of_positives(points, order):
    assert average_precision(np.zeros(4), np.array(order), points) == 0.25


def test_recall_of_three_in_ten_is_three_tenths():
    # 0:0.1:1 has 0.30000000000000004 in it, which 3 / 10 does not reach.
    targets = np.array([1] * 3 + [0] * 997 + [1] * 7)
    scores = -np.arange(len(targets), dtype=float)
    late = max((4 + i) / (1001 + i) for i in range(7))
    expected = (4 * 1.0 + 7 * late) / 11
    assert average_precision(scores, targets, "eleven") == pytest.approx(expected)


def test_nothing_to_find():
    assert average_precision(np.ones(2), np.array([0, -1])) is None
    assert average_precision(np.ones(0), np.ones(0)) is None
    assert mean_average_precision(np.ones((2, 1)), np.zeros((2, 1))) == (None, [None])


def test_the_mean_leaves_out_what_has_no_positive():
    scores = np.array([[0.9, 0.1, 0.0], [0.1, 0.9, 0.0]])
    mean, own = mean_average_precision(scores, np.array([[1, 1, 0], [0, 0, 0]]), "all")
    assert own == [1.0, 0.5, None] and mean == 0.75


@pytest.mark.parametrize(
    ("scores", "targets", "points", "name"),
    [
        (np.ones(2), np.ones(2), "ten", "points"),
        (np.ones(2), np.ones(3), "all", "scores"),
        (np.array([np.nan]), np.ones(1), "all", "scores"),
    ],
)
def test_mistakes(scores, targets, points, name):
    with pytest.raises(UserError, match=f"`{name}` must .* Received"):
        average_precision(scores, targets, points)
