"""Statistics across a batch, on which several losses stand."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from burn_tf.losses._batches import centred, count, freedom, squared_norm_of_product, standardised

RNG = np.random.default_rng(20)
WIDE, TALL = RNG.standard_normal((2, 3, 4, 7)), RNG.standard_normal((2, 3, 7, 4))


@pytest.mark.parametrize("pair", [WIDE, TALL], ids=["few_images", "few_channels"])
@pytest.mark.parametrize("known", [True, False])
def test_squared_norm_of_product(pair: np.ndarray, known: bool, tape_gradient) -> None:
    shape = pair.shape[1:] if known else [None] * 3
    traced = tf.function(
        squared_norm_of_product, input_signature=[tf.TensorSpec(shape, tf.float64)] * 2
    )
    expected = [np.linalg.norm(a.T @ b) ** 2 for a, b in zip(*pair, strict=True)]
    np.testing.assert_allclose(traced(*pair), expected, rtol=1e-12)
    np.testing.assert_allclose(squared_norm_of_product(*pair), expected, rtol=1e-12)
    slopes = tape_gradient(traced, *pair)
    np.testing.assert_allclose(slopes[0], [2 * b @ b.T @ a for a, b in zip(*pair, strict=True)])
    np.testing.assert_allclose(slopes[1], [2 * a @ a.T @ b for a, b in zip(*pair, strict=True)])


@pytest.mark.parametrize(("images", "channels"), [(3, 50), (50, 3)])
def test_no_matrix_of_the_larger_side_is_made(images: int, channels: int) -> None:
    traced = tf.function(squared_norm_of_product).get_concrete_function(
        *[tf.TensorSpec([images, channels])] * 2
    )
    shapes = [tuple(out.shape) for op in traced.graph.get_operations() for out in op.outputs]
    assert (3, 3) in shapes
    assert (50, 50) not in shapes


def test_standardised_has_mean_0_and_population_deviation_1() -> None:
    vectors = 5 + 3 * TALL[0]
    found = standardised(tf.constant(vectors), 1e-12).numpy()
    np.testing.assert_allclose(found.mean(axis=1), 0, atol=1e-12)
    np.testing.assert_allclose(found.std(axis=1), 1, rtol=1e-9)
    np.testing.assert_allclose(standardised(tf.constant([[1.0], [3.0]]), 3.0), [[-0.5], [0.5]])


def test_counts_and_centre() -> None:
    assert float(count(tf.zeros([2, 5, 3]))) == 5
    assert [float(freedom(tf.zeros([n, 3]))) for n in (1, 2, 5)] == [1, 1, 4]
    np.testing.assert_allclose(centred(tf.constant([[1.0, 5.0], [3.0, 5.0]])), [[-1, 0], [1, 0]])
