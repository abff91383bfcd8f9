"""LARS against a NumPy implementation over several updates."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from burn_tf.optimizers import LARS
from burn_tf.schedules import WarmupCosine

SETTINGS = [
    {},
    {"momentum": 0.0},
    {"nesterov": True},
    {"lars_weight_decay": 0.3, "trust_coefficient": 0.05},
    {"exempt": ["^dense"]},
    {"exempt": ["^dense"], "nesterov": True, "momentum": 0.5, "lars_weight_decay": 0.1},
    {"exempt_rate": 0.25},
]


def oracle(
    problem,
    rate=0.5,
    momentum=0.9,
    decay=1e-5,
    trust=1e-3,
    named=(),
    nesterov=False,
    exempt_rate=1.0,
):
    """Final float64 values; `rate` is a number or a list with one number per update."""
    values = {name: value.copy() for name, value in problem.start.items()}
    buffers = {name: np.zeros_like(value) for name, value in values.items()}
    rates = rate if isinstance(rate, list) else [rate] * len(problem.gradients)
    for step_rate, gradients in zip(rates, problem.gradients, strict=True):
        for name, value in values.items():
            update = gradients[name]
            share = exempt_rate
            if value.ndim > 1 and name not in named:
                share = 1.0
                update = update + decay * value
                lengths = np.sqrt((value**2).sum()), np.sqrt((update**2).sum())
                update = update * trust * lengths[0] / lengths[1]
            buffers[name] = momentum * buffers[name] + update
            ahead = update + momentum * buffers[name] if nesterov else buffers[name]
            values[name] = value - share * step_rate * ahead
    return list(values.values())


def expected_for(problem, settings: dict) -> list[np.ndarray]:
    names = {"lars_weight_decay": "decay", "trust_coefficient": "trust", "exempt": "named"}
    arguments = {names.get(name, name): value for name, value in settings.items()}
    if "named" in arguments:
        arguments["named"] = ["dense/kernel", "dense/bias"]
    return oracle(problem, **arguments)


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_several_updates(problem, settings: dict, dtype: str) -> None:
    values = problem.run(LARS(0.5, **settings), problem.variables(dtype))
    tolerance = 1e-6 if dtype == "float32" else 1e-12
    for value, expected in zip(values, expected_for(problem, settings), strict=True):
        np.testing.assert_allclose(value, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_settings_matter(problem, settings: dict) -> None:
    if not settings:
        return
    changed, plain = expected_for(problem, settings), oracle(problem)
    assert max(np.abs(a - b).max() for a, b in zip(changed, plain, strict=True)) > 1e-4


def test_eager_equals_graph(problem) -> None:
    eager = problem.run(LARS(0.5), problem.variables(), graph=False)
    for a, b in zip(eager, problem.run(LARS(0.5), problem.variables()), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)


def test_schedule_multiplies_the_buffer(problem) -> None:
    schedule = WarmupCosine(0.5, warmup_steps=2, total_steps=6)
    values = problem.run(LARS(schedule), problem.variables())
    expected = oracle(problem, rate=[float(schedule(step)) for step in range(6)])
    for value, wanted in zip(values, expected, strict=True):
        np.testing.assert_allclose(value, wanted, rtol=1e-6, atol=1e-6)


def test_first_step_has_trust_times_the_weights_norm() -> None:
    weight = tf.Variable([[3.0, 4.0]])
    LARS(1.0, trust_coefficient=0.1, lars_weight_decay=0.0).apply_gradients(
        [(tf.constant([[0.0, 1e-3]]), weight)]
    )
    np.testing.assert_allclose(weight, [[3.0, 3.5]], rtol=1e-6)


def test_adapted_weights_ignore_the_gradients_scale_and_exempt_ones_do_not(problem) -> None:
    before = problem.run(LARS(0.5, lars_weight_decay=0.0), problem.variables())
    for gradients in problem.gradients:
        for name in gradients:
            gradients[name] = 1000 * gradients[name]
    after = problem.run(LARS(0.5, lars_weight_decay=0.0), problem.variables())
    for value, scaled in zip(before[:2], after[:2], strict=True):
        np.testing.assert_allclose(scaled, value, rtol=1e-5, atol=1e-6)
    assert np.abs(after[2] - before[2]).min() > 1


@pytest.mark.parametrize(
    ("weight", "gradient", "expected"),
    [
        ([[0.0, 0.0]], [[1.0, 2.0]], [[-0.5, -1.0]]),
        ([[1.0, 2.0]], [[0.0, 0.0]], [[1.0, 2.0]]),
        ([[0.0, 0.0]], [[0.0, 0.0]], [[0.0, 0.0]]),
    ],
)
def test_a_norm_of_zero_leaves_the_update_as_it_is(weight, gradient, expected) -> None:
    variable = tf.Variable(weight)
    LARS(0.5, lars_weight_decay=0.0).apply_gradients([(tf.constant(gradient), variable)])
    np.testing.assert_allclose(variable, expected)


def test_two_replicas_equal_one(problem, two_replicas) -> None:
    with two_replicas.scope():
        optimizer, variables = LARS(0.5), problem.variables()
        copies = problem.run_on(two_replicas, optimizer, variables)
    for pair, expected in zip(copies, oracle(problem), strict=True):
        np.testing.assert_array_equal(pair[0], pair[1])
        np.testing.assert_allclose(pair[0], expected, rtol=1e-6, atol=1e-6)
    assert optimizer.iterations.numpy() == 6


def test_resumes_from_a_checkpoint_bit_for_bit(problem, tmp_path) -> None:
    whole = problem.run(LARS(0.5), problem.variables())
    optimizer, variables = LARS(0.5), problem.variables()
    problem.run(optimizer, variables, slice(0, 3))
    path = tf.train.Checkpoint(optimizer=optimizer, variables=variables).save(str(tmp_path / "c"))
    optimizer, variables = LARS(0.5), problem.variables()
    optimizer.build(variables)
    restored = tf.train.Checkpoint(optimizer=optimizer, variables=variables).restore(path)
    restored.assert_consumed()
    resumed = problem.run(optimizer, variables, slice(3, None))
    for value, expected in zip(resumed, whole, strict=True):
        np.testing.assert_array_equal(value, expected)


def test_saved_with_a_keras_model(tmp_path) -> None:
    model = tf.keras.Sequential([tf.keras.layers.Dense(2, input_shape=(3,))])
    schedule = WarmupCosine(0.5, warmup_steps=1, total_steps=9)
    model.compile(LARS(schedule, exempt=["none"], nesterov=True), loss="mse")
    model.fit(tf.ones([4, 3]), tf.ones([4, 2]), epochs=3, verbose=0)
    model.save(tmp_path / "model.keras")
    again = tf.keras.models.load_model(tmp_path / "model.keras")
    assert again.optimizer.get_config() == model.optimizer.get_config()
    saved = zip(again.optimizer.variables, model.optimizer.variables, strict=True)
    for value, expected in saved:
        np.testing.assert_array_equal(value, expected)
    assert int(again.optimizer.iterations) == 3


def test_config_round_trip() -> None:
    optimizer = LARS(
        0.25, 0.8, lars_weight_decay=0.1, trust_coefficient=0.5, exempt=["a"], nesterov=True,
        clipnorm=2.0, name="x",
    )  # fmt: skip
    again = tf.keras.optimizers.deserialize(tf.keras.optimizers.serialize(optimizer))
    assert isinstance(again, LARS)
    assert again.get_config() == optimizer.get_config()
    assert float(again.learning_rate) == 0.25


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"momentum": 1.0}, "`momentum`.*Received: 1.0"),
        ({"lars_weight_decay": -1}, "`lars_weight_decay`.*Received: -1"),
        ({"trust_coefficient": 0}, "`trust_coefficient`.*Received: 0"),
        ({"exempt": ["("]}, "`exempt`"),
    ],
)
def test_bad_arguments(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LARS(0.1, **arguments)
