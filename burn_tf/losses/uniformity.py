"""Alignment and uniformity on the sphere (Wang & Isola): losses, and measures of any embedding."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from burn_tf import distribute
from burn_tf._checks import check_range, check_rank
from burn_tf.losses._vectors import check_matching, directions, vanishing, wide_floats


def uniformity(vectors: tf.Tensor, t: float = 2.0) -> tf.Tensor:
    """Logarithm of the mean Gaussian potential of all pairs, one value for the global batch.

    With `x_i` the unit vector along `vectors[i]`, over all pairs of different images:

        log mean_{i != j} exp(-t || x_i - x_j ||^2)

    0 for vectors that are all alike, -4 t for two opposite ones. Under a `tf.distribute` strategy
    the batch is the global one: every replica gathers all vectors and returns the same value. A
    zero vector has no direction and counts as 0.

    Args:
        vectors: `[B, d]`, any float dtype; narrower ones are computed in float32.
        t: above 0, sharpness of the potential. Default 2, the paper's.

    Returns:
        Scalar <= 0 but for rounding, float32 (float64 for float64 vectors); 0 for one vector.

    Raises:
        ValueError: for a t not above 0, or another rank than 2.

    Example:
        >>> import burn_tf, tensorflow as tf
        >>> from burn_tf.losses import uniformity
        >>> float(uniformity(tf.constant([[3.0, 0.0], [0.0, 1.0]])))
        -4.0

    Source: Wang & Isola, "Understanding Contrastive Representation Learning through Alignment and
        Uniformity on the Hypersphere", sec. 4.1.2, L_uniform, arXiv 2005.10242.

    Departs from source: none; pairs of an image with itself are left out, as in their code.
    """
    check_range("t", t, low=0.0, low_open=True)
    (vectors,) = wide_floats(vectors)
    check_rank("vectors", vectors, 2)
    units = directions(distribute.all_gather(vectors))
    squares = tf.reduce_sum(tf.square(units), axis=-1)
    products = tf.matmul(units, units, transpose_b=True)
    potentials = t * (2 * products - squares[:, tf.newaxis] - squares)
    itself = tf.fill(tf.shape(squares), vanishing(squares.dtype))
    total = tf.reduce_logsumexp(tf.linalg.set_diag(potentials, itself))
    number = tf.cast(tf.shape(units)[0], total.dtype)
    pairs = tf.maximum(number * (number - 1), 1)
    return tf.where(number > 1, total - tf.math.log(pairs), tf.zeros_like(total))


def alignment(first: tf.Tensor, second: tf.Tensor, alpha: float = 2.0) -> tf.Tensor:
    """Distance of two views' directions to the power of alpha, one value per image.

    With `x`, `y` the unit vectors along `first` and `second`:

        || x - y ||^alpha

    Both views get a gradient; where the two directions are the same it is 0.

    Args:
        first: `[B, d]`, any float dtype; narrower ones are computed in float32.
        second: `[B, d]`, the other view of the same images.
        alpha: above 0. Default 2, the paper's.

    Returns:
        `[B]`, float32 (float64 where one of the two is float64).

    Raises:
        ValueError: for an alpha not above 0, or shapes that do not match.

    Example:
        >>> import burn_tf, tensorflow as tf
        >>> from burn_tf.losses import alignment
        >>> alignment(tf.constant([[3.0, 0.0]]), tf.constant([[0.0, 1.0]])).numpy().tolist()
        [2.0]

    Source: Wang & Isola, arXiv 2005.10242, sec. 4.1.1, L_align.

    Departs from source: none.
    """
    check_range("alpha", alpha, low=0.0, low_open=True)
    first, second = wide_floats(first, second)
    check_rank("first", first, 2)
    check_rank("second", second, 2)
    check_matching("first", first, "second", second)
    squares = tf.reduce_sum(tf.square(directions(first) - directions(second)), axis=-1)
    # The slope of a power below 1 is infinite at 0. NaN is not <= 0, and reaches the loss.
    same = squares <= 0
    powers = tf.pow(tf.where(same, tf.ones_like(squares), squares), alpha / 2)
    return tf.where(same, tf.zeros_like(powers), powers)


@tf.keras.utils.register_keras_serializable(package="burn_tf")
class UniformityLoss(tf.keras.losses.Loss):
    """`uniformity` as a Keras loss of the vectors `[B, d]`; `y_true` is not used.

        log mean_{i != j} exp(-t || x_i - x_j ||^2)

    Args:
        t: above 0. Default 2, the paper's.
        reduction: a `tf.keras.losses.Reduction`; there is one value per batch.
        name: of the loss.

    Raises:
        ValueError: for a t not above 0; when called with vectors not of rank 2.

    Example:
        >>> import burn_tf, tensorflow as tf
        >>> float(burn_tf.losses.UniformityLoss()(None, tf.constant([[3.0, 0.0], [0.0, 1.0]])))
        -4.0

    Source: Wang & Isola, arXiv 2005.10242, sec. 4.1.2, L_uniform.

    Departs from source: none.
    """

    def __init__(
        self,
        t: float = 2.0,
        reduction: str = tf.keras.losses.Reduction.AUTO,
        name: str = "uniformity",
    ) -> None:
        super().__init__(reduction=reduction, name=name)
        self.t = check_range("t", t, low=0.0, low_open=True)

    def call(self, y_true: tf.Tensor | None, y_pred: tf.Tensor) -> tf.Tensor:
        del y_true
        return uniformity(y_pred, self.t)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "t": self.t}


@tf.keras.utils.register_keras_serializable(package="burn_tf")
class AlignmentLoss(tf.keras.losses.Loss):
    """`alignment` as a Keras loss of two views' vectors, each `[B, d]`.

        mean_b || x - y ||^alpha

    Args:
        alpha: above 0. Default 2, the paper's.
        reduction: a `tf.keras.losses.Reduction`; Keras' default averages over the batch.
        name: of the loss.

    Raises:
        ValueError: for an alpha not above 0; when called with shapes that do not match.

    Example:
        >>> import burn_tf, tensorflow as tf
        >>> loss = burn_tf.losses.AlignmentLoss()
        >>> float(loss(tf.constant([[3.0, 0.0]]), tf.constant([[0.0, 1.0]])))
        2.0

    Source: Wang & Isola, arXiv 2005.10242, sec. 4.1.1, L_align.

    Departs from source: none.
    """

    def __init__(
        self,
        alpha: float = 2.0,
        reduction: str = tf.keras.losses.Reduction.AUTO,
        name: str = "alignment",
    ) -> None:
        super().__init__(reduction=reduction, name=name)
        self.alpha = check_range("alpha", alpha, low=0.0, low_open=True)

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        return alignment(y_true, y_pred, self.alpha)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "alpha": self.alpha}
