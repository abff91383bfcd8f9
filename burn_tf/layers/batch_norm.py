"""Batch normalisation over all replicas, fused on one."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from burn_tf._compat import NamedBuild
from burn_tf.distribute import all_reduce_sum, every_replica, num_replicas
from burn_tf.layers.fusion import fused


def _outer_axes(values: tf.Tensor) -> list[int]:
    return list(range(values.shape.rank - 1))


def _has_kernels(values: tf.Tensor) -> bool:
    """Whether the fused kernels, as they are on CPUs, take these [B, H, W, channels]."""
    devices = {device.device_type for device in tf.config.list_logical_devices()}
    return devices == {"CPU"} and values.dtype in (tf.float32, tf.bfloat16, tf.float16)


def _own_moments(values: tf.Tensor, size: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Mean, and sum of squared deviations from it, of this replica's values; 0 without any."""
    if not _has_kernels(values):
        wide = tf.cast(values, size.dtype)
        mean = tf.reduce_sum(wide, _outer_axes(wide)) / tf.maximum(size, 1)
        return mean, tf.reduce_sum(tf.square(wide - mean), _outer_axes(wide))
    ones = tf.ones(values.shape[-1:])
    _, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
        x=values, scale=ones, offset=ones, mean=[], variance=[], is_training=True
    )
    none = tf.zeros_like(mean)
    # The kernel divides by size - 1; of no values at all it makes NaN.
    return tf.where(size > 0, mean, none), tf.where(size > 1, variance * (size - 1), none)


def _global_moments(values: tf.Tensor, dtype: tf.DType) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Mean, variance and number of the values per channel of all replicas, in one exchange.

    Deviations are from each replica's own mean, whose deviations are added after (Chan et al.,
    1979): the mean of squares less the square of the mean would cancel in float32.
    """
    size = tf.cast(tf.reduce_prod(tf.shape(values)[:-1]), dtype)
    mean, squares = _own_moments(values, size)
    own = tf.concat([mean, squares, [size]], axis=0)
    means, squares, sizes = tf.split(every_replica(own), [mean.shape[0], mean.shape[0], 1], axis=1)
    size = tf.maximum(tf.reduce_sum(sizes), 1)
    mean = tf.reduce_sum(sizes * means, axis=0) / size
    squares += sizes * tf.square(means - mean)
    return mean, tf.reduce_sum(squares, axis=0) / size, size


@fused
def _normalized(values: tf.Tensor, mean: tf.Tensor, scale: tf.Tensor, beta: tf.Tensor) -> tf.Tensor:
    return (values - mean) * scale + beta


def _own_gradients(
    upstream: tf.Tensor, values: tf.Tensor, mean: tf.Tensor, variance: tf.Tensor, epsilon: float
) -> tuple[tf.Tensor, tf.Tensor]:
    """Gradients of gamma and beta from this replica's values."""
    if not _has_kernels(values):
        wide = tf.cast(upstream, mean.dtype)
        normalized = (tf.cast(values, mean.dtype) - mean) * tf.math.rsqrt(variance + epsilon)
        axes = _outer_axes(wide)
        return tf.reduce_sum(wide * normalized, axes), tf.reduce_sum(wide, axes)
    _, gamma, beta, *_ = tf.raw_ops.FusedBatchNormGradV3(
        y_backprop=upstream, x=values, scale=tf.ones_like(mean), reserve_space_1=mean,
        reserve_space_2=variance, reserve_space_3=tf.zeros([0]), epsilon=epsilon,
    )  # fmt: skip
    none = tf.zeros_like(mean)
    some = tf.size(values) > 0
    return tf.where(some, gamma, none), tf.where(some, beta, none)


@fused
def _downstream(
    upstream: tf.Tensor,
    values: tf.Tensor,
    mean: tf.Tensor,
    inverse: tf.Tensor,
    scale: tf.Tensor,
    sums: tf.Tensor,
) -> tf.Tensor:
    """Gradient of the values; `sums` [2, channels]: means of upstream and upstream * normalized."""
    return (upstream - sums[0] - (values - mean) * inverse * sums[1]) * scale


def _normalize_globally(
    inputs: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor, epsilon: float
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    """Normalised inputs, mean, variance and size of the batch of all replicas together."""

    @tf.custom_gradient
    def normalize(inputs: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor) -> Any:
        mean, variance, size = _global_moments(inputs, gamma.dtype)
        inverse = tf.math.rsqrt(variance + epsilon)
        scale = inverse * gamma
        outputs = tf.cast(_normalized(inputs, mean, scale, beta), inputs.dtype)

        def gradient(upstream: tf.Tensor, *_: tf.Tensor) -> tuple[tf.Tensor, ...]:
            own = _own_gradients(upstream, inputs, mean, variance, epsilon)
            sums = all_reduce_sum(tf.stack([own[1], own[0]])) / size
            downstream = _downstream(upstream, inputs, mean, inverse, scale, sums)
            # The optimizer adds up the replicas' gradients of gamma and beta itself.
            return tf.cast(downstream, inputs.dtype), *own

        return (outputs, mean, variance, size), gradient

    result: tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor] = normalize(inputs, gamma, beta)
    return result


@tf.keras.utils.register_keras_serializable(package="burn_tf")
class BatchNorm(NamedBuild, tf.keras.layers.BatchNormalization):
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
        outputs, mean, variance, size = _normalize_globally(images, gamma, beta, self.epsilon)
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
