"""Measures of features against NumPy, and on networks whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.analysis import effective_rank, embedding, embedding_measures
from burn_tf.data import Source, load_source, preprocess_input
from burn_tf.evaluation import raw_pixels


def units(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_measures_equal_their_formulas() -> None:
    generator = np.random.default_rng(0)
    first, second = generator.normal(1.0, 1.0, (2, 40, 7))
    found = embedding_measures(first, second)
    x, y = units(first), units(second)
    uniform, deviations, ranks = [], [], []
    for view in (x, y):
        squares = np.square(view[:, None] - view[None]).sum(axis=-1)
        uniform.append(np.log(np.exp(-2.0 * squares[~np.eye(40, dtype=bool)]).mean()))
        deviations.append(np.sqrt(7) * view.std(axis=0).mean())
        centred = view - view.mean(axis=0)
        values = np.sqrt(np.maximum(np.linalg.eigvalsh(centred.T @ centred), 0.0))
        shares = values / values.sum()
        ranks.append(np.exp(-(shares * np.log(shares)).sum()))
    expected = {
        "alignment": np.square(x - y).sum(axis=1).mean(),
        "uniformity": np.mean(uniform),
        "effective rank": np.mean(ranks),
        "feature deviation": np.mean(deviations),
    }
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-5, err_msg=name)


@pytest.mark.parametrize("directions", [1, 3, 6])
def test_effective_rank_counts_directions(directions: int) -> None:
    axes = np.eye(8)[:directions]
    around = np.eye(8)[7] * 2.0
    # A direction that all rows share, and their lengths, do not count.
    rows = np.concatenate([around + axes, around - axes])
    assert effective_rank(rows) == pytest.approx(directions)
    lengths = np.linspace(1.0, 9.0, len(rows))[:, None]
    assert effective_rank(rows * lengths) == pytest.approx(directions)


def test_collapsed_features_have_no_rank_and_no_spread() -> None:
    rows = np.tile([[3.0, 4.0]], (5, 1))
    assert effective_rank(rows) == 0.0
    assert effective_rank(np.zeros((4, 3))) == 0.0
    found = embedding_measures(rows, rows)
    assert found["alignment"] == 0.0
    assert found["uniformity"] == pytest.approx(0.0, abs=1e-6)
    assert found["feature deviation"] == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize(
    ("first", "second"), [(np.eye(2), np.eye(3)), (np.ones((1, 2)), np.ones((1, 2)))]
)
def test_views_that_do_not_fit(first: np.ndarray, second: np.ndarray) -> None:
    with pytest.raises(UserError, match=r"`first` and `second` must .* Received"):
        embedding_measures(first, second)


def test_features_of_more_than_one_number_per_image() -> None:
    with pytest.raises(UserError, match=r"`features` must .* Received"):
        effective_rank(np.zeros((2, 3, 4)))


def test_networks_side_by_side_on_the_same_held_out_images() -> None:
    digits = load_source("digits", split="test")

    def constant(images: tf.Tensor) -> tf.Tensor:
        return tf.ones([tf.shape(images)[0], 5])

    networks = {"pixels": (raw_pixels, 8), "constant": (constant, 16)}
    analysis = embedding(networks, digits, images=50, seed=1)
    pixels, point = analysis.rows
    assert (pixels["dimensions"], point["dimensions"]) == (192, 5)
    assert point["alignment"] == 0.0 and point["uniformity"] == pytest.approx(0.0, abs=1e-6)
    assert 0.0 < pixels["alignment"] < 2.0 and pixels["uniformity"] < -0.1
    assert analysis.settings["images"] == 50
    other = embedding({"pixels": (raw_pixels, 8)}, digits, images=50, seed=2)
    assert other.rows[0]["alignment"] != pixels["alignment"]


def test_both_views_are_of_the_same_image() -> None:
    # Crops and mirror images of plain colours are those colours: views of an image are equal, and
    # the rest follows from the colours alone.
    colours = np.random.default_rng(0).integers(0, 256, (30, 1, 1, 3)).astype(np.uint8)
    source = Source.from_array(np.tile(colours, (1, 8, 8, 1)), name="plain", split="test")
    row = embedding({"p": (raw_pixels, 4)}, source, policy="supervised", images=30).rows[0]
    x = units(preprocess_input(tf.constant(colours, tf.float32)).numpy().reshape(30, 3))
    squares = np.square(x[:, None] - x[None]).sum(axis=-1)[~np.eye(30, dtype=bool)]
    assert row["alignment"] == pytest.approx(0.0, abs=1e-6)
    assert row["uniformity"] == pytest.approx(np.log(np.exp(-2.0 * squares).mean()), rel=1e-3)


@pytest.mark.parametrize(
    ("networks", "images", "name"), [({}, 10, "models"), ({"p": (raw_pixels, 8)}, 1, "images")]
)
def test_mistakes_name_the_argument(networks: dict, images: int, name: str) -> None:
    with pytest.raises(UserError, match=f"`{name}` must .* Received"):
        embedding(networks, load_source("digits", split="test"), images=images)
