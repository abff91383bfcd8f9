"""Figures of an update that tell a healthy training from one that breaks down."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import tensorflow as tf

from burn_tf.layers.fusion import channel_sum, fused


def feature_deviation(features: tf.Tensor) -> tf.Tensor:
    """How spread out features are: 1 for an even spread over the sphere, 0 when collapsed.

    sqrt(D) times the mean over dimensions of the standard deviation over the batch of the
    l2-normalised features [B, D] (the measure of SimSiam, Chen & He 2021, sec. 4.1).
    """
    features = tf.cast(features, tf.float32)
    unit = tf.math.l2_normalize(features, axis=-1)
    spread = tf.reduce_mean(tf.math.reduce_std(unit, axis=0))
    return spread * tf.sqrt(tf.cast(tf.shape(features)[-1], tf.float32))


def mutual_information(probabilities: tf.Tensor) -> tf.Tensor:
    """What a row of probabilities [B, C] says of its image, in nats: H(mean p) - mean H(p).

    0 where all rows are the same, log C where each is sure and all C are as frequent.
    """
    whole = tf.reduce_mean(probabilities, axis=0)
    each = tf.reduce_sum(tf.math.xlogy(probabilities, probabilities), axis=-1)
    return tf.reduce_mean(each) - tf.reduce_sum(tf.math.xlogy(whole, whole))


def gradient_norms(
    gradients: Sequence[tf.Tensor],
    variables: Sequence[tf.Variable],
    groups: Mapping[str, Sequence[tf.keras.layers.Layer]],
) -> dict[str, tf.Tensor]:
    """`grad_norm`, `grad_norm_GROUP`, and `worst_variable`: the index of the largest gradient."""
    squares = [2.0 * tf.nn.l2_loss(tf.cast(gradient, tf.float32)) for gradient in gradients]
    by_id = {id(variable): square for variable, square in zip(variables, squares, strict=True)}
    norms = {"grad_norm": tf.sqrt(tf.add_n(squares))}
    for group, layers in groups.items():
        members = unique_variables(weight for layer in layers for weight in layer.trainable_weights)
        if members:
            norms[f"grad_norm_{group}"] = tf.sqrt(tf.add_n([by_id[id(m)] for m in members]))
    stacked = tf.stack(squares)
    ranked = tf.where(
        tf.math.is_finite(stacked), stacked, tf.fill(tf.shape(stacked), tf.float32.max)
    )
    norms["worst_variable"] = tf.cast(tf.argmax(ranked), tf.float32)
    return norms


def share_of_changed_signs(
    before: Sequence[tf.Tensor], kernels: Sequence[tf.Variable]
) -> tf.Tensor:
    """Share of all weights whose sign differs from `before` (True: 0 or more); 0 without any."""
    if not kernels:
        return tf.zeros([])
    changed = [
        tf.reduce_sum(channel_sum(_sign_changes(tf.convert_to_tensor(kernel), signs)))
        for signs, kernel in zip(before, kernels, strict=True)
    ]
    total = sum(kernel.shape.num_elements() for kernel in kernels)
    return tf.add_n(changed) / float(total)


@fused
def _sign_changes(kernel: tf.Tensor, before: tf.Tensor) -> tf.Tensor:
    """1 where the kernel's sign (0 counts as positive) differs from before, else 0."""
    return tf.cast(tf.not_equal(before, tf.greater_equal(kernel, 0)), tf.float32)


def unique_variables(weights: Iterable[tf.Variable]) -> list[tf.Variable]:
    """Each variable once, in the order of its first appearance."""
    return list({id(weight): weight for weight in weights}.values())
