"""LIBLINEAR against scikit-learn called by hand: constants, folds, fewer images than features."""

from __future__ import annotations

import numpy as np

from burn_tf.evaluation.liblinear import Machines, in_their_span
from burn_tf.evaluation.svm import COSTS


def made(number, dim):
    """Two overlapping classes, one a third of the images."""
    generator = np.random.default_rng(0)
    marks = np.arange(number) % 3 == 0
    return generator.normal(size=(number, dim)) + 0.5 * marks[:, None], marks


def test_it_is_liblinear_with_the_benchmarks_constants():
    from sklearn.svm import LinearSVC

    rows, marks = made(60, 12)
    wanted = LinearSVC(
        C=0.1, class_weight={True: 2, False: 1}, dual=True, max_iter=2000, random_state=0
    )
    wanted.fit(rows, marks)
    found = Machines((0.1,), 3, 2000, 0).fit(rows, marks, 0.1)
    np.testing.assert_allclose(found, [*wanted.coef_[0], wanted.intercept_[0]], rtol=1e-6)
    assert len(COSTS) == 18 and min(COSTS) == 2.0**-19


def test_fewer_images_than_features_give_the_same_machine_faster():
    features, marks = made(20, 50)
    machines = Machines((0.5,), 3, 5000, 0)
    rows, basis = in_their_span(features)
    assert rows.shape[1] <= 20 and basis.shape[0] == 50
    np.testing.assert_allclose(rows @ rows.T, features @ features.T, atol=1e-9)
    weights, _ = machines.trained(features, marks)
    np.testing.assert_allclose(weights, machines.fit(features, marks, 0.5), atol=1e-3)


def test_the_cost_is_that_of_the_best_folds():
    from sklearn.model_selection import StratifiedKFold, cross_val_score
    from sklearn.svm import LinearSVC

    # Few images and many features of noise, where it matters how much is believed.
    rows, marks = made(90, 30)
    costs = (1e-3, 1.0, 1e-2)
    folds = StratifiedKFold(3, shuffle=True, random_state=0)
    found = []
    for cost in costs:
        machine = LinearSVC(C=cost, class_weight={True: 2, False: 1}, dual=True, random_state=0)
        score = cross_val_score(machine, rows, marks, cv=folds, scoring="average_precision")
        found.append(score.mean())
    best = costs[int(np.argmax(found))]
    assert len(set(found)) == 3
    assert Machines(costs, 3, 1000, 0).choose(rows, marks) == best
    # Costs of the same precision: the smallest.
    clear = np.where(marks, 1.0, -1.0)[:, None]
    assert Machines((1.0, 0.1), 3, 1000, 0).choose(clear, marks) == 0.1


def test_one_positive_image_takes_the_first_cost():
    marks = np.arange(5) == 0
    assert Machines((0.5, 0.1), 3, 1000, 0).choose(np.eye(5), marks) == 0.5
