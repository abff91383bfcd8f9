"""Batch normalisation over all replicas, fused on one."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from burn_tf.distribute import all_reduce_sum, num_replicas


def _outer_axes(values: tf.Tensor) -> list[int]:
    return list(range(values.shape.rank - 1))


@tf.custom_gradient
def _normalize_globally(
    inputs: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor, epsilon: tf.Tensor
) -> Any:
    """Normalised inputs, mean, variance and size of the batch of all replicas together."""
    axes = _outer_axes(inputs)
    values = tf.cast(inputs, gamma.dtype)
    local_size = tf.cast(tf.reduce_prod(tf.shape(values)[:-1]), gamma.dtype)
    totals = all_reduce_sum(tf.concat([tf.reduce_sum(values, axes), [local_size]], axis=0))
    size = tf.maximum(totals[-1], 1)
    mean = totals[:-1] / size
    # In two passes: the mean of squares less the square of the mean cancels in float32.
    variance = all_reduce_sum(tf.reduce_sum(tf.square(values - mean), axes)) / size
    inverse = tf.math.rsqrt(variance + epsilon)
    outputs = tf.cast((values - mean) * (inverse * gamma) + beta, inputs.dtype)

    def gradient(upstream: tf.Tensor, *_: tf.Tensor) -> tuple[Any, ...]:
        wide = tf.cast(upstream, gamma.dtype)
        normalized = (values - mean) * inverse
        beta_gradient = tf.reduce_sum(wide, axes)
        gamma_gradient = tf.reduce_sum(wide * normalized, axes)
        sums = all_reduce_sum(tf.stack([beta_gradient, gamma_gradient])) / size
        downstream = (wide - sums[0] - normalized * sums[1]) * (inverse * gamma)
        # The optimizer adds up the replicas' gradients of gamma and beta itself.
        return tf.cast(downstream, inputs.dtype), gamma_gradient, beta_gradient, None

    return (outputs, mean, variance, size), gradient


@tf.keras.utils.register_keras_serializable(package="burn_tf")
class BatchNorm(tf.keras.layers.BatchNormalization):
    """Batch norm of the last axis: `y = gamma (x - mean) / sqrt(variance + epsilon) + beta`.

    In training, mean and variance are those of the global batch: one fused kernel on one replica,
    sums over all replicas where there are several. The moving statistics (the variance with
    Bessel's correction) are float32 or wider; `trainable = False` freezes them too.

    Args:
        momentum: weight of the old moving statistics, in [0, 1]. Default 0.9 (torch's 0.1).
        epsilon: > 0. Default 1e-5 (the authors').

    Call arguments:
        inputs: [B, channels] or [B, H, W, channels], any float dtype, returned in that dtype.
        training: True uses the batch and moves the statistics; False uses the moving statistics.

    Raises:
        ValueError: inputs of another rank.

    Example:
        >>> import tensorflow as tf
        >>> from burn_tf.layers import BatchNorm
        >>> y = BatchNorm()(tf.constant([[-1.0], [1.0]]), training=True)
        >>> y.numpy().round(3).ravel().tolist()
        [-1.0, 1.0]

    Source: Ioffe and Szegedy, 2015, arXiv 1502.03167, with the settings of arXiv 2003.03488.
    Departs from source: synchronised over replicas.
    """

    def __init__(self, momentum: float = 0.9, epsilon: float = 1e-5, **kwargs: Any) -> None:
        super().__init__(momentum=momentum, epsilon=epsilon, **{**kwargs, "axis": -1})

    def build(self, input_shape: Any) -> None:
        shape = tf.TensorShape(input_shape)
        if shape.rank not in (2, 4):
            raise ValueError(f"`inputs` must have rank 2 or 4. Received: shape {shape}")
        # The fused kernel takes images only, so vectors are normalised as images of one pixel.
        super().build([shape[0], *([None, None] if shape.rank == 2 else shape[1:3]), shape[-1]])
        self.input_spec = tf.keras.layers.InputSpec(ndim=shape.rank, axes={-1: shape[-1]})

    def get_build_config(self) -> dict[str, Any]:
        """The true input shape, not that of the one-pixel images that vectors are treated as."""
        return {"input_shape": [None] * (self.input_spec.ndim - 1) + [self.input_spec.axes[-1]]}

    def _is_training(self, training: Any) -> Any:
        if not self.trainable:
            return False
        training = tf.keras.backend.learning_phase() if training is None else training
        static = tf.get_static_value(training)
        return training if static is None else bool(static)

    def _needs_sums(self, training: Any) -> bool:
        several = num_replicas() > 1 and not tf.distribute.in_cross_replica_context()
        return training is True and (several or self.compute_dtype == "float64")

    def _synchronised(self, images: tf.Tensor) -> tf.Tensor:
        gamma = tf.convert_to_tensor(self.gamma) if self.scale else tf.ones(images.shape[-1:])
        beta = tf.convert_to_tensor(self.beta) if self.center else tf.zeros(images.shape[-1:])
        epsilon = tf.constant(self.epsilon, gamma.dtype)
        outputs, mean, variance, size = _normalize_globally(images, gamma, beta, epsilon)
        unbiased = variance * (size / tf.maximum(size - 1, 1))
        self.moving_mean.assign_sub((self.moving_mean - mean) * (1 - self.momentum))
        self.moving_variance.assign_sub((self.moving_variance - unbiased) * (1 - self.momentum))
        return outputs

    def call(self, inputs: tf.Tensor, training: Any = None) -> tf.Tensor:
        training = self._is_training(training)
        inputs = tf.cast(inputs, self.compute_dtype)
        images = inputs[:, None, None, :] if inputs.shape.rank == 2 else inputs
        if self._needs_sums(training):
            outputs = self._synchronised(images)
        else:
            outputs = super().call(images, training=training)
        return outputs[:, 0, 0, :] if inputs.shape.rank == 2 else outputs

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["axis"]
        return config
