"""Principal components against an eigendecomposition; the scatter's cap, choice and gaps."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from burn_tf._checks import UserError
from burn_tf.report.embedding import embedding_scatter, principal_components

_SVG = "{http://www.w3.org/2000/svg}"


def _oracle(features: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """By the covariance matrix, independent of a singular value decomposition."""
    centred = features - features.mean(axis=0)
    values, vectors = np.linalg.eigh(centred.T @ centred)
    order = np.argsort(values)[::-1][:count]
    vectors = vectors[:, order]
    for i in range(count):
        if vectors[np.argmax(np.abs(vectors[:, i])), i] < 0:
            vectors[:, i] *= -1
    return centred @ vectors, values[order] / values.sum()


@pytest.mark.parametrize("shape", [(200, 6), (7, 40)])
def test_components_equal_the_eigenvectors(shape: tuple[int, int]):
    features = np.random.default_rng(1).standard_normal(shape) * np.linspace(3, 1, shape[1])
    points, shares = principal_components(features, 3)
    expected_points, expected_shares = _oracle(features, 3)
    np.testing.assert_allclose(points, expected_points, atol=1e-9)
    np.testing.assert_allclose(shares, expected_shares, atol=1e-12)


def test_components_do_not_care_for_offset_or_order_of_rows():
    rng = np.random.default_rng(2)
    features = rng.standard_normal((50, 5)) * [5, 3, 1, 1, 1]
    points, _ = principal_components(features)
    shuffled = rng.permutation(50)
    moved, _ = principal_components(features[shuffled] + 1000.0)
    np.testing.assert_allclose(moved, points[shuffled], atol=1e-8)


def test_components_that_do_not_exist_are_zero():
    points, shares = principal_components(np.array([[1.0], [3.0]]))
    np.testing.assert_allclose(points, [[-1.0, 0.0], [1.0, 0.0]], atol=1e-12)
    assert shares.tolist() == [1.0, 0.0]
    points, shares = principal_components(np.ones((4, 3)))
    assert not points.any() and not shares.any()
    assert principal_components(np.ones((1, 1)))[0].tolist() == [[0.0, 0.0]]


@pytest.mark.parametrize("features", [np.zeros(3), np.zeros((0, 3)), np.full((2, 2), np.nan)])
def test_components_refuse_what_has_none(features: np.ndarray):
    with pytest.raises(UserError, match=r"`features` must be finite.*Received: shape"):
        principal_components(features)


def _groups(svg: str) -> dict[str, int]:
    root = ElementTree.fromstring(svg)
    groups = [g for g in root.iter(f"{_SVG}g") if g.get("class") == "points"]
    return {str(g[0].text).split(" (")[0]: len(g) - 1 for g in groups}


def test_the_scatter_is_capped_and_the_choice_is_fixed():
    rng = np.random.default_rng(0)
    features, labels = rng.standard_normal((5000, 8)).astype(np.float32), np.arange(5000) % 10
    one, two = (embedding_scatter(features, labels) for _ in range(2))
    assert one == two
    assert sum(_groups(one.svg).values()) == 600
    # A choice by a fixed stride would show one class only here.
    assert len(_groups(one.svg)) == 10 and min(_groups(one.svg).values()) > 30
    assert one.note == "600 of 5000 images."


def test_labels_only_colour():
    features = np.random.default_rng(0).standard_normal((30, 4))
    places = []
    for labels in (None, np.arange(30) % 2):
        svg = embedding_scatter(features, labels).svg
        places.append(sorted(re.findall(r'cx="([\d.]+)" cy="[\d.]+" r="3"', svg)))
    # The legend moves everything down; the horizontal places stay.
    assert places[0] == places[1]
    assert len(places[0]) == 30


def test_well_separated_classes_are_separated():
    labels = np.repeat([0, 1], 20)
    features = np.random.default_rng(0).standard_normal((40, 16)) * 0.1
    features[labels == 1] += 5.0
    root = ElementTree.fromstring(embedding_scatter(features, labels).svg)
    one, two = [
        [float(str(c.get("cx"))) for c in g.iter(f"{_SVG}circle")]
        for g in root.iter(f"{_SVG}g")
        if g.get("class") == "points"
    ]
    assert max(one) < min(two)


def test_rows_that_are_not_finite_are_left_out():
    features = np.random.default_rng(0).standard_normal((5, 3))
    features[[1, 4], 0] = [np.nan, np.inf]
    chart = embedding_scatter(features, ["a", "b", "a", "c", "b"], class_names=["unused"])
    assert _groups(chart.svg) == {"a": 2, "c": 1}
    assert chart.note == "3 of 5 images."


def test_collapsed_or_absent_features_give_a_chart():
    assert _groups(embedding_scatter(np.ones((9, 4)), [0] * 9).svg) == {"0": 9}
    assert "0% of variance" in embedding_scatter(np.ones((9, 4))).svg
    assert "No data" in embedding_scatter(np.zeros((0, 4))).svg
    assert "No data" in embedding_scatter(np.full((3, 4), np.nan)).svg


def test_wrong_shapes_are_refused():
    with pytest.raises(UserError, match=r"\[N, D\]. Received: shape \(3,\)"):
        embedding_scatter(np.zeros(3))
    with pytest.raises(UserError, match=r"each of 3 rows. Received: 2"):
        embedding_scatter(np.zeros((3, 2)), [0, 1])
