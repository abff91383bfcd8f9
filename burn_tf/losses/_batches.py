"""Vectors as the losses across a batch want them: centred, standardised, correlated."""

from __future__ import annotations

import tensorflow as tf

from burn_tf import distribute


def global_batch(embeddings: tf.Tensor) -> tf.Tensor:
    """Embeddings `[K, B, d]` of all replicas' images; K and d stay known when a graph is built."""
    gathered = distribute.all_gather(embeddings, axis=1)
    return tf.ensure_shape(gathered, [embeddings.shape[0], None, embeddings.shape[2]])


def centred(vectors: tf.Tensor) -> tf.Tensor:
    """Vectors `[..., N, d]` without their mean over the N."""
    return vectors - tf.reduce_mean(vectors, axis=-2, keepdims=True)


def standardised(vectors: tf.Tensor, epsilon: float) -> tf.Tensor:
    """`(x - mean) / sqrt(variance + epsilon)` over the N of `[..., N, d]`; all counts are N."""
    differences = centred(vectors)
    variance = tf.reduce_mean(tf.square(differences), axis=-2, keepdims=True)
    return differences / tf.sqrt(variance + epsilon)


def count(vectors: tf.Tensor) -> tf.Tensor:
    """N of `[..., N, d]`, as a number of the vectors' type."""
    return tf.cast(tf.shape(vectors)[-2], vectors.dtype)


def freedom(vectors: tf.Tensor) -> tf.Tensor:
    """N - 1 of `[..., N, d]`, but at least 1, so that one vector has variance 0."""
    return tf.maximum(count(vectors) - 1, 1)


def squared_norm_of_product(first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
    """`|| first^T second ||_F^2` of two `[..., N, d]`, by way of the smaller of [d, d] and [N, N].

    The trace of `first^T second second^T first` is that of `(first first^T) (second second^T)`. A
    projector of 8192 numbers and a batch of 256 make this 16 times cheaper, and [d, d] is 256 MB.
    """

    def by_channels() -> tf.Tensor:
        return tf.square(tf.matmul(first, second, transpose_a=True))

    def by_images() -> tf.Tensor:
        gram = tf.matmul(first, first, transpose_b=True)
        return gram * tf.matmul(second, second, transpose_b=True)

    images, channels = first.shape[-2:]
    if images is None or channels is None:
        images, channels = tf.unstack(tf.shape(first)[-2:])
        products = tf.cond(images < channels, by_images, by_channels)
    else:
        products = by_images() if images < channels else by_channels()
    return tf.reduce_sum(products, axis=[-2, -1])
