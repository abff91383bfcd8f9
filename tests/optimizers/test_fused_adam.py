"""FusedAdam against Keras' Adam, and against Kingma and Ba's formulas in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from burn_tf.optimizers import FusedAdam
from burn_tf.schedules import WarmupCosine

SETTINGS = [
    {},
    {"beta_1": 0.5, "beta_2": 0.9, "epsilon": 0.1},
    {"weight_decay": 0.1},
    {"global_clipnorm": 0.5},
    {"clipnorm": 0.1},
]


def oracle(problem, rate=0.0625, beta_1=0.9, beta_2=0.999, epsilon=1e-7) -> list[np.ndarray]:
    values = {name: value.copy() for name, value in problem.start.items()}
    first = {name: np.zeros_like(value) for name, value in values.items()}
    second = {name: np.zeros_like(value) for name, value in values.items()}
    for t, gradients in enumerate(problem.gradients, start=1):
        for name, gradient in gradients.items():
            first[name] = beta_1 * first[name] + (1 - beta_1) * gradient
            second[name] = beta_2 * second[name] + (1 - beta_2) * gradient**2
            rate_t = rate * np.sqrt(1 - beta_2**t) / (1 - beta_1**t)
            values[name] = values[name] - rate_t * first[name] / (np.sqrt(second[name]) + epsilon)
    return list(values.values())


@pytest.mark.parametrize("settings", SETTINGS[:2], ids=str)
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 1e-6)])
def test_formulas(problem, settings: dict, dtype: str, tolerance: float) -> None:
    values = problem.run(FusedAdam(0.0625, **settings), problem.variables(dtype))
    for value, expected in zip(values, oracle(problem, **settings), strict=True):
        np.testing.assert_allclose(value, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("graph", [False, True], ids=["eager", "graph"])
def test_equals_keras_adam(problem, settings: dict, graph: bool) -> None:
    values = problem.run(FusedAdam(1e-3, **settings), problem.variables(), graph=graph)
    reference = tf.keras.optimizers.Adam(1e-3, **settings)
    for value, expected in zip(values, problem.run(reference, problem.variables()), strict=True):
        np.testing.assert_allclose(value, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("settings", SETTINGS[1:], ids=str)
def test_settings_matter(problem, settings: dict) -> None:
    changed = problem.run(FusedAdam(1e-3, **settings), problem.variables())
    plain = problem.run(FusedAdam(1e-3), problem.variables())
    assert max(np.abs(a - b).max() for a, b in zip(changed, plain, strict=True)) > 1e-5


def test_equals_keras_adam_with_a_schedule(problem) -> None:
    schedule = WarmupCosine(2e-3, warmup_steps=2, total_steps=6)
    values = problem.run(FusedAdam(schedule), problem.variables())
    reference = problem.run(tf.keras.optimizers.Adam(schedule), problem.variables())
    for value, expected in zip(values, reference, strict=True):
        np.testing.assert_allclose(value, expected, rtol=1e-6, atol=1e-6)


def test_sparse_gradients_equal_keras_adam() -> None:
    results = []
    for kind in (FusedAdam, tf.keras.optimizers.Adam):
        table, optimizer = tf.Variable(tf.ones([4, 2])), kind(0.1)
        for _ in range(3):
            with tf.GradientTape() as tape:
                loss = tf.reduce_sum(tf.gather(table, [1, 3, 1]) ** 2)
            slope = tape.gradient(loss, table)
            assert isinstance(slope, tf.IndexedSlices)
            optimizer.apply_gradients([(slope, table)])
        results.append(table.numpy())
    np.testing.assert_allclose(results[0], results[1], rtol=1e-6)
    assert np.all(results[0][1] < 0.8)


def test_two_replicas_equal_one(problem, two_replicas) -> None:
    with two_replicas.scope():
        optimizer, variables = FusedAdam(0.0625), problem.variables()
        copies = problem.run_on(two_replicas, optimizer, variables)
    for pair, expected in zip(copies, oracle(problem), strict=True):
        np.testing.assert_array_equal(pair[0], pair[1])
        np.testing.assert_allclose(pair[0], expected, rtol=1e-5, atol=1e-5)
    assert optimizer.iterations.numpy() == 6


def test_runs_the_fused_kernel(problem) -> None:
    optimizer, variables = FusedAdam(0.0625), problem.variables()
    optimizer.build(variables)

    @tf.function
    def step() -> None:
        optimizer.apply_gradients([(tf.ones_like(v), v) for v in variables])

    kinds = [node.op for node in step.get_concrete_function().graph.as_graph_def().node]
    assert kinds.count("ResourceApplyAdam") == len(variables)


@pytest.mark.parametrize("writer", [FusedAdam, tf.keras.optimizers.Adam])
@pytest.mark.parametrize("reader", [FusedAdam, tf.keras.optimizers.Adam])
def test_checkpoints_are_those_of_keras_adam(problem, tmp_path, writer, reader) -> None:
    optimizer, variables = writer(0.0625), problem.variables()
    problem.run(optimizer, variables, slice(0, 3))
    path = tf.train.Checkpoint(optimizer=optimizer, variables=variables).save(str(tmp_path / "c"))
    optimizer, variables = reader(0.0625), problem.variables()
    optimizer.build(variables)
    restored = tf.train.Checkpoint(optimizer=optimizer, variables=variables).restore(path)
    restored.assert_consumed()
    resumed = problem.run(optimizer, variables, slice(3, None))
    for value, expected in zip(resumed, oracle(problem), strict=True):
        np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-5)


def test_resumes_from_a_checkpoint_bit_for_bit(problem, tmp_path) -> None:
    whole = problem.run(FusedAdam(0.0625), problem.variables())
    optimizer, variables = FusedAdam(0.0625), problem.variables()
    problem.run(optimizer, variables, slice(0, 3))
    path = tf.train.Checkpoint(optimizer=optimizer, variables=variables).save(str(tmp_path / "c"))
    optimizer, variables = FusedAdam(0.0625), problem.variables()
    optimizer.build(variables)
    tf.train.Checkpoint(optimizer=optimizer, variables=variables).restore(path)
    resumed = problem.run(optimizer, variables, slice(3, None))
    for value, expected in zip(resumed, whole, strict=True):
        np.testing.assert_array_equal(value, expected)


def test_trains_a_bfloat16_model_like_keras_adam() -> None:
    tf.keras.mixed_precision.set_global_policy("mixed_bfloat16")
    weights = []
    for kind in (FusedAdam, tf.keras.optimizers.Adam):
        tf.keras.utils.set_random_seed(0)
        model = tf.keras.Sequential([tf.keras.layers.Dense(4, input_shape=(3,))])
        model.compile(kind(1e-3), loss="mse")
        model.fit(tf.ones([8, 3]), tf.ones([8, 4]), epochs=4, verbose=0)
        weights.append(model.get_weights())
    assert weights[0][0].dtype == np.float32
    for value, expected in zip(*weights, strict=True):
        np.testing.assert_allclose(value, expected, rtol=1e-6, atol=1e-6)


def test_saved_with_a_keras_model(tmp_path) -> None:
    model = tf.keras.Sequential([tf.keras.layers.Dense(2, input_shape=(3,))])
    model.compile(FusedAdam(0.0625, beta_1=0.8), loss="mse")
    model.fit(tf.ones([4, 3]), tf.ones([4, 2]), epochs=3, verbose=0)
    model.save(tmp_path / "model.keras")
    again = tf.keras.models.load_model(tmp_path / "model.keras")
    assert isinstance(again.optimizer, FusedAdam)
    assert again.optimizer.get_config() == model.optimizer.get_config()
    for value, expected in zip(again.optimizer.variables, model.optimizer.variables, strict=True):
        np.testing.assert_array_equal(value, expected)


def test_config_round_trip() -> None:
    optimizer = FusedAdam(0.25, 0.8, 0.9, 1e-3, weight_decay=0.1, clipvalue=3.0, name="x")
    again = tf.keras.optimizers.deserialize(tf.keras.optimizers.serialize(optimizer))
    assert isinstance(again, FusedAdam)
    assert again.get_config() == optimizer.get_config()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"beta_1": 1.0}, "`beta_1`.*Received: 1.0"),
        ({"beta_2": -0.1}, "`beta_2`.*Received: -0.1"),
        ({"epsilon": 0.0}, "`epsilon`.*Received: 0.0"),
    ],
)
def test_bad_arguments(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FusedAdam(0.1, **arguments)
