"""Pushes all views of an image along one random direction (MSBReg, eq. 4)."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from burn_tf._checks import UserError, check_rank
from burn_tf.losses._vectors import check_matching, directions, wide_floats


def brownian_noise(
    seed_pair: tf.Tensor | Sequence[int],
    step: tf.Tensor | int,
    batch: tf.Tensor | int,
    dim: tf.Tensor | int,
) -> tf.Tensor:
    """One Gaussian vector per image, a function of seed, step and place in the batch alone.

        n ~ N(0, I_d)

    Under a `tf.distribute` strategy draw for the global batch and take the replica's rows, so that
    replicas see different vectors, and together those that one replica would have seen.

    Args:
        seed_pair: int32 `[2]`.
        step: update count; each step has noise of its own.
        batch: images in the global batch.
        dim: length d of a vector.

    Returns:
        float32 `[batch, dim]`.

    Raises:
        ValueError: for a seed that is not a pair.

    Example:
        >>> import burn_tf
        >>> from burn_tf.losses import brownian_noise
        >>> brownian_noise((0, 1), step=7, batch=4, dim=16).shape
        TensorShape([4, 16])

    Source: Moon et al., "An Embedding-Dynamic Approach to Self-supervised Learning", eq. 4.

    Departs from source: none.
    """
    seed = tf.convert_to_tensor(seed_pair, dtype=tf.int32)
    if not seed.shape.is_compatible_with([2]):
        raise UserError(f"`seed_pair` must hold two numbers. Received: shape {tuple(seed.shape)}")
    seed = tf.random.experimental.stateless_fold_in(seed, tf.cast(step, tf.int32))
    return tf.random.stateless_normal([batch, dim], seed)


def brownian(noise: tf.Tensor, predictions: tf.Tensor) -> tf.Tensor:
    """Mean cosine between an image's noise and its predictions, one value per image.

    With `n = noise` (one vector per image, shared by its views), `p_j = predictions[j]`:

        1/K sum_j < hat n, hat p_j >

    The noise gets no gradient. A zero vector has no direction and counts as 0; so is its gradient.

    Args:
        noise: `[B, d]`, as `brownian_noise` draws it.
        predictions: `[K, B, d]`, any float dtype; narrower ones are computed in float32.

    Returns:
        `[B]` in [-1, 1], float32 (float64 where one of the two is float64).

    Raises:
        ValueError: for shapes that do not match.

    Example:
        >>> import burn_tf, tensorflow as tf
        >>> from burn_tf.losses import brownian
        >>> brownian(tf.constant([[0.0, 2.0]]), tf.constant([[[0.0, -5.0]]])).numpy().tolist()
        [-1.0]

    Source: Moon et al., "An Embedding-Dynamic Approach to Self-supervised Learning", eq. 4.

    Departs from source: none.
    """
    noise, predictions = wide_floats(noise, predictions)
    check_rank("noise", noise, 2)
    check_rank("predictions", predictions, 3)
    check_matching("noise", noise, "predictions", predictions)
    cosine = tf.reduce_sum(directions(tf.stop_gradient(noise)) * directions(predictions), axis=-1)
    return tf.reduce_mean(cosine, axis=0)


@tf.keras.utils.register_keras_serializable(package="burn_tf")
class BrownianLoss(tf.keras.losses.Loss):
    """`brownian` as a Keras loss: `y_true` is the noise, `y_pred` the predictions `[K, B, d]`.

        mean_b 1/K sum_j < hat n, hat p_j >

    Args:
        reduction: a `tf.keras.losses.Reduction`; Keras' default averages over the batch.
        name: of the loss.

    Raises:
        ValueError: when called with shapes that do not match.

    Example:
        >>> import burn_tf, tensorflow as tf
        >>> noise = burn_tf.losses.brownian_noise((0, 1), step=0, batch=4, dim=16)
        >>> round(float(burn_tf.losses.BrownianLoss()(noise, noise[tf.newaxis])), 4)
        1.0

    Source: Moon et al., "An Embedding-Dynamic Approach to Self-supervised Learning", eq. 4.

    Departs from source: none.
    """

    def __init__(
        self,
        reduction: str = tf.keras.losses.Reduction.AUTO,
        name: str = "brownian",
    ) -> None:
        super().__init__(reduction=reduction, name=name)

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        return brownian(y_true, y_pred)
