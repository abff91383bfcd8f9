"""`BatchNorm` against NumPy, and two replicas against one with the same global batch."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from burn_tf.layers import BatchNorm, batch_norm

EPSILON, MOMENTUM = 1e-5, 0.9
GAMMA, BETA = np.array([0.5, -1.0, 2.0]), np.array([0.1, 0.0, -0.3])
MEAN, VARIANCE = np.array([0.4, -0.2, 0.0]), np.array([1.5, 0.25, 1.0])
START = [GAMMA, BETA, MEAN, VARIANCE]


def batch(rank: int, size: int = 6) -> np.ndarray:
    shape = (size, 3) if rank == 2 else (size, 4, 5, 3)
    return np.random.default_rng(rank).normal(loc=[3, 0, -1], scale=[1, 2, 0.5], size=shape)


def built_layer(rank: int) -> BatchNorm:
    layer = BatchNorm()
    layer.build([None, 3] if rank == 2 else [None, None, None, 3])
    layer.set_weights(START)
    return layer


class Reference:
    """Formulas of the paper in float64, and their derivative for loss = sum(upstream * y)."""

    def __init__(self, values: np.ndarray, upstream: np.ndarray) -> None:
        axes = tuple(range(values.ndim - 1))
        self.count = values.size // values.shape[-1]
        mean, variance = values.mean(axes), values.var(axes)
        inverse = 1 / np.sqrt(variance + EPSILON)
        normalized = (values - mean) * inverse
        self.outputs = normalized * GAMMA + BETA
        self.beta_gradient = upstream.sum(axes)
        self.gamma_gradient = (upstream * normalized).sum(axes)
        self.input_gradient = (GAMMA * inverse) * (
            upstream
            - self.beta_gradient / self.count
            - normalized * self.gamma_gradient / self.count
        )
        self.moving_mean = MOMENTUM * MEAN + (1 - MOMENTUM) * mean
        unbiased = variance * self.count / (self.count - 1)
        self.moving_variance = MOMENTUM * VARIANCE + (1 - MOMENTUM) * unbiased


def upstream_of(values: np.ndarray) -> np.ndarray:
    return np.random.default_rng(9).normal(size=values.shape)


def training_step(layer: BatchNorm, values: tf.Tensor, upstream: tf.Tensor) -> list[tf.Tensor]:
    """Output, and gradients of input, gamma and beta."""
    with tf.GradientTape() as tape:
        tape.watch(values)
        outputs = layer(values, training=True)
        loss = tf.reduce_sum(outputs * upstream)
    return [outputs, *tape.gradient(loss, [values, layer.gamma, layer.beta])]


def expect(layer: BatchNorm, parts: list[np.ndarray], wanted: Reference, rtol: float) -> None:
    expected = [wanted.outputs, wanted.input_gradient, wanted.gamma_gradient, wanted.beta_gradient]
    for actual, value in zip(parts, expected, strict=True):
        np.testing.assert_allclose(actual, value, rtol=rtol, atol=rtol)
    np.testing.assert_allclose(layer.moving_mean.numpy(), wanted.moving_mean, rtol=rtol)
    np.testing.assert_allclose(layer.moving_variance.numpy(), wanted.moving_variance, rtol=rtol)


@pytest.mark.parametrize("graph", [False, True])
@pytest.mark.parametrize("rank", [2, 4])
@pytest.mark.parametrize(("policy", "rtol"), [("float32", 2e-5), ("float64", 1e-12)])
def test_training(policy, rtol, rank, graph):
    tf.keras.mixed_precision.set_global_policy(policy)
    layer, values = built_layer(rank), batch(rank)
    upstream = upstream_of(values)
    step = tf.function(training_step) if graph else training_step
    parts = step(layer, tf.constant(values, policy), tf.constant(upstream, policy))
    expect(layer, [part.numpy() for part in parts], Reference(values, upstream), rtol)


@pytest.mark.parametrize("rank", [2, 4])
@pytest.mark.parametrize("policy", ["float32", "float64"])
def test_inference_uses_the_moving_statistics(policy, rank):
    tf.keras.mixed_precision.set_global_policy(policy)
    layer, values = built_layer(rank), batch(rank)
    expected = (values - MEAN) / np.sqrt(VARIANCE + EPSILON) * GAMMA + BETA
    for actual in (layer(values, training=False), layer(values)):
        np.testing.assert_allclose(actual.numpy(), expected, rtol=1e-5, atol=1e-5)
    for weight, start in zip(layer.get_weights(), START, strict=True):
        np.testing.assert_allclose(weight, start, rtol=1e-6)


@pytest.mark.parametrize("rank", [2, 4])
def test_frozen_layers_keep_their_statistics(rank):
    layer, values = built_layer(rank), batch(rank)
    layer.trainable = False
    frozen = layer(values, training=True).numpy()
    np.testing.assert_array_equal(frozen, layer(values, training=False).numpy())
    np.testing.assert_allclose(layer.moving_mean.numpy(), MEAN, rtol=1e-6)


def test_mixed_precision_keeps_float32_statistics():
    tf.keras.mixed_precision.set_global_policy("mixed_bfloat16")
    layer, values = built_layer(4), tf.cast(batch(4), tf.bfloat16)
    outputs = layer(values, training=True)
    assert outputs.dtype == tf.bfloat16
    assert {weight.dtype for weight in layer.weights} == {tf.float32}
    rounded = tf.cast(values, tf.float64).numpy()
    wanted = Reference(rounded, np.zeros_like(rounded))
    np.testing.assert_allclose(layer.moving_mean.numpy(), wanted.moving_mean, rtol=1e-5)
    np.testing.assert_allclose(
        tf.cast(outputs, tf.float64).numpy(), wanted.outputs, rtol=2**-7, atol=2**-7
    )


def on_replicas(
    strategy: tf.distribute.Strategy,
    values: np.ndarray,
    upstream: np.ndarray,
    sizes: list[int],
    dtype: tf.DType = tf.float32,
) -> tuple[BatchNorm, list[np.ndarray]]:
    """One step with the batch dealt out by `sizes`; gradients of the weights are summed."""
    with strategy.scope():
        layer = built_layer(values.ndim)
    ends = np.cumsum([0, *sizes])

    def dealt(array: np.ndarray) -> tf.Tensor:
        return strategy.experimental_distribute_values_from_function(
            lambda context: tf.constant(
                array[ends[context.replica_id_in_sync_group] :][
                    : sizes[context.replica_id_in_sync_group]
                ],
                dtype,
            )
        )

    @tf.function
    def run(values: tf.Tensor, upstream: tf.Tensor) -> list[tf.Tensor]:
        return strategy.run(training_step, args=(layer, values, upstream))

    outputs, inputs_gradient, gamma, beta = run(dealt(values), dealt(upstream))
    joined = [
        np.concatenate(strategy.experimental_local_results(x)) for x in (outputs, inputs_gradient)
    ]
    summed = [np.sum(strategy.experimental_local_results(x), axis=0) for x in (gamma, beta)]
    return layer, [*joined, *summed]


@pytest.mark.parametrize("rank", [2, 4])
@pytest.mark.parametrize("sizes", [[3, 3], [5, 1], [6, 0]])
def test_two_replicas_equal_one(two_replicas, sizes, rank):
    values = batch(rank)
    upstream = upstream_of(values)
    layer, parts = on_replicas(two_replicas, values, upstream, sizes)
    expect(layer, parts, Reference(values, upstream), rtol=2e-5)
    for moving in (layer.moving_mean, layer.moving_variance):
        first, second = (copy.numpy() for copy in moving.values)
        np.testing.assert_array_equal(first, second)


def test_two_replicas_equal_one_without_the_fused_kernels(two_replicas, monkeypatch):
    monkeypatch.setattr(batch_norm, "_has_kernels", lambda values: False)
    values = batch(4)
    upstream = upstream_of(values)
    layer, parts = on_replicas(two_replicas, values, upstream, [5, 1])
    expect(layer, parts, Reference(values, upstream), rtol=2e-5)


def test_two_replicas_in_bfloat16(two_replicas):
    tf.keras.mixed_precision.set_global_policy("mixed_bfloat16")
    values, upstream = batch(4), upstream_of(batch(4))
    layer, parts = on_replicas(two_replicas, values, upstream, [4, 2], tf.bfloat16)
    rounded = [tf.cast(tf.cast(x, tf.bfloat16), tf.float64).numpy() for x in (values, upstream)]
    wanted = Reference(*rounded)
    np.testing.assert_allclose(layer.moving_mean.numpy(), wanted.moving_mean, rtol=1e-5)
    np.testing.assert_allclose(parts[2], wanted.gamma_gradient, rtol=2e-2, atol=0.1)
    for part, value in zip(parts[:2], (wanted.outputs, wanted.input_gradient), strict=True):
        np.testing.assert_allclose(part.astype(np.float64), value, rtol=2**-6, atol=2**-6)


def test_large_mean_does_not_cancel(two_replicas):
    values = batch(4) + 1000
    upstream = np.zeros_like(values)
    layer, _ = on_replicas(two_replicas, values, upstream, [3, 3])
    np.testing.assert_allclose(
        layer.moving_variance.numpy(), Reference(values, upstream).moving_variance, rtol=1e-3
    )


def test_refuses_other_ranks():
    with pytest.raises(ValueError, match=r"rank 2 or 4.*Received"):
        BatchNorm()(np.zeros([2, 3, 4]))


def test_defaults_are_the_authors():
    config = BatchNorm().get_config()
    assert (config["momentum"], config["epsilon"]) == (0.9, 1e-5)
    assert BatchNorm.from_config(config).get_config() == config
