"""Tells the views of an image from all views of the batch's other images (SimCLR, eq. 1)."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from burn_tf import distribute
from burn_tf._checks import check_range
from burn_tf.losses._vectors import check_views, directions, vanishing, wide_floats


def nt_xent(embeddings: tf.Tensor, temperature: float = 0.1) -> tf.Tensor:
    """Normalised temperature-scaled cross entropy, one value per image.

    With `z_j` the unit vector along `embeddings[j]` of an image, `n` those of all views of all
    other images, `T = temperature`, averaged over the K (K - 1) ordered pairs j != l of its views:

        -log( exp(z_j.z_l / T) / (exp(z_j.z_l / T) + sum_n exp(z_j.n / T)) )

    Under a `tf.distribute` strategy the other images are those of the global batch; the values are
    those of the replica's own images. Replicas must hold batches of one size.

    Args:
        embeddings: `[K, B, d]`, K >= 2 views, any float dtype; narrower ones are computed in
            float32.
        temperature: above 0. Default 0.1, the paper's (sec. 5.2) for many epochs.

    Returns:
        `[B]`, float32 (float64 for float64 embeddings); 0 for an image without others.

    Raises:
        ValueError: for a temperature not above 0, other ranks than 3, or a single view.

    Example:
        >>> import burn_tf, tensorflow as tf
        >>> from burn_tf.losses import nt_xent
        >>> views = tf.constant([[[1.0, 0.0], [0.0, 1.0]]] * 2)
        >>> [round(value, 4) for value in nt_xent(views, temperature=1.0).numpy().tolist()]
        [0.5514, 0.5514]

    Source: Chen et al., "A Simple Framework for Contrastive Learning of Visual Representations",
        eq. 1, arXiv 2002.05709; SimCLR v2 (arXiv 2006.10029) has the same loss.

    Departs from source: none for two views. With more, each pair is set against the views of other
        images alone, not against the image's remaining views.
    """
    check_range("temperature", temperature, low=0.0, low_open=True)
    (embeddings,) = wide_floats(embeddings)
    views = check_views("embeddings", embeddings)
    units = directions(embeddings)
    others = _log_sum_over_other_images(units, temperature)
    positive = tf.einsum("jbd,lbd->jlb", units, units) / temperature
    # -log(e^p / (e^p + e^n)) = log(1 + e^(n - p))
    values = tf.nn.softplus(others[:, tf.newaxis] - positive)
    different = 1 - tf.eye(views, dtype=values.dtype)
    return tf.einsum("jlb,jl->b", values, different) / (views * (views - 1))


def _log_sum_over_other_images(units: tf.Tensor, temperature: float) -> tf.Tensor:
    """`log sum_n exp(z.n / T)` `[K, B]` over all views n of the global batch's other images."""
    everyone = distribute.all_gather(units, axis=1)
    logits = tf.einsum("jbd,lgd->jblg", units, everyone) / temperature
    places = distribute.own_rows(tf.range(tf.shape(everyone)[1]))
    own = places[:, tf.newaxis] == tf.range(tf.shape(everyone)[1])
    logits = tf.where(own[tf.newaxis, :, tf.newaxis], vanishing(logits.dtype), logits)
    return tf.reduce_logsumexp(logits, axis=[2, 3])


@tf.keras.utils.register_keras_serializable(package="burn_tf")
class NTXentLoss(tf.keras.losses.Loss):
    """`nt_xent` as a Keras loss of the embeddings `[K, B, d]`; `y_true` is not used.

        mean_b mean_{j != l} -log( exp(z_j.z_l / T) / (exp(z_j.z_l / T) + sum_n exp(z_j.n / T)) )

    Args:
        temperature: above 0. Default 0.1, the paper's.
        reduction: a `tf.keras.losses.Reduction`; Keras' default averages over the batch.
        name: of the loss.

    Raises:
        ValueError: for a temperature not above 0; when called with a single view.

    Example:
        >>> import burn_tf, tensorflow as tf
        >>> views = tf.constant([[[1.0, 0.0], [0.0, 1.0]]] * 2)
        >>> round(float(burn_tf.losses.NTXentLoss(temperature=1.0)(None, views)), 4)
        0.5514

    Source: Chen et al., arXiv 2002.05709, eq. 1.

    Departs from source: none for two views; see `nt_xent`.
    """

    def __init__(
        self,
        temperature: float = 0.1,
        reduction: str = tf.keras.losses.Reduction.AUTO,
        name: str = "nt_xent",
    ) -> None:
        super().__init__(reduction=reduction, name=name)
        self.temperature = check_range("temperature", temperature, low=0.0, low_open=True)

    def call(self, y_true: tf.Tensor | None, y_pred: tf.Tensor) -> tf.Tensor:
        del y_true
        return nt_xent(y_pred, self.temperature)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "temperature": self.temperature}
