"""Unit vectors and precision, on which the other losses stand."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from burn_tf.losses._vectors import (
    check_matching,
    check_views,
    directions,
    vanishing,
    view_pairs,
    wide_floats,
)


def test_directions_literal() -> None:
    np.testing.assert_allclose(directions(tf.constant([[3.0, -4.0]])), [[0.6, -0.8]], rtol=1e-6)


def test_gradient_is_the_projection_off_the_vector(tape_gradient) -> None:
    vector, weight = np.random.default_rng(0).standard_normal((2, 5))
    (slope,) = tape_gradient(lambda v: directions(v) * weight, vector[np.newaxis])
    unit = vector / np.sqrt(vector @ vector)
    expected = (weight - unit * (unit @ weight)) / np.sqrt(vector @ vector)
    np.testing.assert_allclose(slope[0], expected, rtol=1e-12)


@pytest.mark.parametrize("scale", [1e-11, 1e-6, 1e6, 1e37])
def test_direction_ignores_scale_far_beyond_where_squares_overflow(scale: float) -> None:
    vector = tf.constant([[3.0, -4.0]]) * scale
    np.testing.assert_allclose(directions(vector), [[0.6, -0.8]], rtol=1e-6)


@pytest.mark.parametrize("length", [0.0, 1e-30])
def test_vanishing_vector_gives_zero_value_and_gradient(length: float, tape_gradient) -> None:
    vector = np.array([[length, 0.0], [0.0, 2.0]], np.float32)
    np.testing.assert_array_equal(directions(tf.constant(vector)), [[0, 0], [0, 1]])
    (slope,) = tape_gradient(lambda v: directions(v) * [1.0, 2.0], vector)
    np.testing.assert_allclose(slope, [[0, 0], [0.5, 0]], rtol=1e-6)


@pytest.mark.parametrize("bad", [[np.nan, np.nan], [np.nan, 1.0], [np.inf, 1.0]])
@pytest.mark.parametrize("wrap", [lambda f: f, tf.function], ids=["eager", "graph"])
def test_nan_and_infinity_are_not_hidden(bad: list[float], wrap) -> None:
    assert np.isnan(wrap(directions)(tf.constant([bad]))).any()


@pytest.mark.parametrize(
    ("dtypes", "expected"),
    [
        (["float16", "bfloat16"], "float32"),
        (["float32", "float16"], "float32"),
        (["float64", "float16"], "float64"),
    ],
)
def test_wide_floats(dtypes: list[str], expected: str) -> None:
    widened = wide_floats(*[tf.zeros([2], dtype) for dtype in dtypes])
    assert [tensor.dtype.name for tensor in widened] == [expected] * 2


def test_shapes_that_differ_are_refused_and_unknown_ones_pass() -> None:
    with pytest.raises(ValueError, match=r"`a` and `b`.*Received: a \(2, 3\), b \(2, 4\)"):
        check_matching("a", tf.zeros([2, 3]), "b", tf.zeros([2, 4]))

    @tf.function(input_signature=[tf.TensorSpec([None, None])] * 2)
    def both(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
        check_matching("a", a, "b", b)
        return a + b

    assert both(tf.ones([2, 3]), tf.ones([2, 3])).shape == (2, 3)


def test_view_pairs_are_all_unordered_pairs() -> None:
    pairs = view_pairs("z", tf.reshape(tf.range(3.0), [3, 1, 1]))
    assert [(float(a[0, 0]), float(b[0, 0])) for a, b in pairs] == [(0, 1), (0, 2), (1, 2)]


@pytest.mark.parametrize("shape", [[1, 2, 3], [0, 2, 3], [None, 2, 3], None])
def test_views_that_are_one_or_unknown_are_refused(shape: list | None) -> None:
    with pytest.raises(ValueError, match=r"`z` must hold at least 2 views.*Received: shape"):
        check_views("z", tf.TensorSpec(shape))


@pytest.mark.parametrize("dtype", [tf.float32, tf.float64])
def test_vanishing_adds_nothing_and_its_gradient_is_finite(dtype: tf.DType, tape_gradient) -> None:
    nothing = vanishing(dtype)
    assert nothing.dtype == dtype
    assert float(tf.reduce_logsumexp(tf.stack([nothing, nothing, 3.0]))) == 3.0
    (slope,) = tape_gradient(
        lambda x: tf.nn.softplus(tf.reduce_logsumexp(tf.where([True, True], nothing, x))),
        np.zeros(2, dtype.as_numpy_dtype),
    )
    np.testing.assert_array_equal(slope, [0, 0])
