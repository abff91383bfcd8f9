"""SGD with a steady rate for chosen variables, against NumPy and Keras' own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import burn_tf
from burn_tf._checks import UserError
from burn_tf.methods import BarlowTwins, SimSiam
from burn_tf.optimizers import SteadySGD
from burn_tf.schedules import WarmupCosine

STEADY = 2  # dense/bias, whose rate stays
SCHEDULE = WarmupCosine(0.5, warmup_steps=1, total_steps=7)


def oracle(problem: Any, momentum: float, decay: float, rates: list[list[float]]) -> list:
    """Final float64 values; `rates` has one list per update, one rate per variable."""
    values = [value.copy() for value in problem.start.values()]
    velocities = [np.zeros_like(value) for value in values]
    for gradients, step_rates in zip(problem.gradients, rates, strict=True):
        for i, gradient in enumerate(gradients.values()):
            values[i] = values[i] - step_rates[i] * decay * values[i]
            velocities[i] = momentum * velocities[i] - step_rates[i] * gradient
            values[i] = values[i] + velocities[i]
    return values


@pytest.mark.parametrize(("momentum", "decay"), [(0.9, 0.0), (0.5, 0.1), (0.0, 0.1)])
def test_several_updates(problem: Any, momentum: float, decay: float) -> None:
    optimizer = SteadySGD(SCHEDULE, momentum=momentum, steady_rate=0.3, weight_decay=decay or None)
    variables = problem.variables("float64")
    optimizer.keep_steady([variables[STEADY]])
    found = problem.run(optimizer, variables)
    falling = [float(SCHEDULE(step)) for step in range(len(problem.gradients))]
    rates = [[0.3 if i == STEADY else rate for i in range(len(found))] for rate in falling]
    expected = oracle(problem, momentum, decay, rates)
    for value, wanted in zip(found, expected, strict=True):
        np.testing.assert_allclose(value, wanted, rtol=1e-6, atol=1e-7)
    # A rate that falls for all comes out elsewhere.
    plain = oracle(problem, momentum, decay, [[rate] * len(found) for rate in falling])
    assert np.abs(plain[STEADY] - found[STEADY]).max() > 0.01


def test_without_steady_variables_it_is_keras_own(problem: Any) -> None:
    options = {"momentum": 0.9, "weight_decay": 0.1}
    mine = problem.run(SteadySGD(0.2, **options), problem.variables())
    keras = problem.run(tf.keras.optimizers.SGD(0.2, **options), problem.variables())
    for value, wanted in zip(mine, keras, strict=True):
        np.testing.assert_array_equal(value, wanted)


def test_variables_excluded_from_decay_have_none(problem: Any) -> None:
    optimizer = SteadySGD(0.2, steady_rate=0.1, weight_decay=0.5)
    variables = problem.variables("float64")
    optimizer.keep_steady([variables[0], variables[STEADY]])
    optimizer.exclude_from_weight_decay(var_list=[variables[STEADY]])
    found = problem.run(optimizer, variables)
    rates = [[0.1, 0.2, 0.1, 0.2]] * len(problem.gradients)
    decayed, free = (oracle(problem, 0.9, decay, rates) for decay in (0.5, 0.0))
    np.testing.assert_allclose(found[0], decayed[0], rtol=1e-6)
    np.testing.assert_allclose(found[STEADY], free[STEADY], rtol=1e-6)


def test_replicas_share_the_update(problem: Any, two_replicas: tf.distribute.Strategy) -> None:
    with two_replicas.scope():
        variables = problem.variables()
        optimizer = SteadySGD(SCHEDULE, steady_rate=0.3, weight_decay=0.1)
        optimizer.keep_steady([variables[STEADY]])
        copies = problem.run_on(two_replicas, optimizer, variables)
    alone = SteadySGD(SCHEDULE, steady_rate=0.3, weight_decay=0.1)
    own = problem.variables()
    alone.keep_steady([own[STEADY]])
    for values, wanted in zip(copies, problem.run(alone, own), strict=True):
        for value in values:
            np.testing.assert_allclose(value, wanted, rtol=1e-5, atol=1e-6)


def test_config_round_trip() -> None:
    optimizer = SteadySGD(SCHEDULE, momentum=0.7, steady_rate=0.3, weight_decay=0.1, clipnorm=2.0)
    restored = tf.keras.optimizers.deserialize(tf.keras.optimizers.serialize(optimizer))
    assert isinstance(restored, SteadySGD)
    assert restored.get_config() == optimizer.get_config()
    assert (restored.steady_rate, restored.momentum, restored.weight_decay) == (0.3, 0.7, 0.1)


def test_mistakes() -> None:
    with pytest.raises(UserError, match=r"`steady_rate` must be given beside a schedule"):
        SteadySGD(SCHEDULE)
    with pytest.raises(UserError, match=r"`steady_rate` must be a number"):
        SteadySGD(0.1, steady_rate=0.0)
    with pytest.raises(UserError, match=r"`momentum`"):
        SteadySGD(0.1, momentum=1.0)


@pytest.fixture
def backbone() -> tf.keras.Model:
    images = tf.keras.Input((4, 4, 3))
    return tf.keras.Model(images, tf.keras.layers.GlobalAveragePooling2D()(images))


def test_a_method_keeps_its_predictor_steady(backbone: tf.keras.Model) -> None:
    method = SimSiam(backbone, hidden_dim=4, embedding_dim=4, predictor_dim=2)
    # Nothing else moves: the schedule's rate is 0.
    method.compile(SteadySGD(0.0, steady_rate=0.5))
    before = [weight.numpy() for weight in method.trainable_variables]
    views = tuple(tf.random.stateless_normal([4, 4, 4, 3], [0, seed]) for seed in range(2))
    method.fit(tf.data.Dataset.from_tensors(views), verbose=0)
    moved = {
        id(weight)
        for weight, old in zip(method.trainable_variables, before, strict=True)
        if np.abs(weight.numpy() - old).max() > 1e-4
    }
    predictor = [
        weight for weight in method.predictor.trainable_variables if "kernel" in weight.name
    ]
    assert {id(weight) for weight in predictor} <= moved
    assert moved <= {id(weight) for weight in method.predictor.trainable_variables}


def test_a_saved_method_keeps_it_steady(backbone: tf.keras.Model, tmp_path: Path) -> None:
    method = SimSiam(backbone, hidden_dim=4, embedding_dim=4, predictor_dim=2)
    method.compile(SteadySGD(0.0, steady_rate=0.5), accumulate=2)
    views = tuple(tf.random.stateless_normal([4, 4, 4, 3], [0, seed]) for seed in range(2))
    data = tf.data.Dataset.from_tensors(views)
    method.fit(data, verbose=0)
    method.save(tmp_path / "method.keras")
    again = tf.keras.models.load_model(tmp_path / "method.keras")
    for model in (method, again):
        model.fit(data, verbose=0)
    for mine, loaded in zip(method.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, loaded)


def test_a_wrapped_optimizer_is_refused(backbone: tf.keras.Model) -> None:
    method = SimSiam(backbone, hidden_dim=4, embedding_dim=4, predictor_dim=2)
    wrapped = tf.keras.mixed_precision.LossScaleOptimizer(SteadySGD(0.1))
    with pytest.raises(UserError, match=r"`optimizer` must not be wrapped"):
        method.compile(wrapped)


def test_a_method_without_predictor_says_so(backbone: tf.keras.Model) -> None:
    method = BarlowTwins(backbone, hidden_dim=4, embedding_dim=4)
    with pytest.raises(UserError, match=r"SGD for a method without predictor"):
        method.compile(SteadySGD(0.1))


def test_the_recipe_asks_for_it() -> None:
    from burn_tf.recipes import get_recipe, override
    from burn_tf.training.building import build_optimizer

    recipe = get_recipe("simsiam_imagenet")
    optimizer = build_optimizer(recipe, steps_per_epoch=10, total_steps=100)
    assert isinstance(optimizer, burn_tf.optimizers.SteadySGD)
    assert optimizer.steady_rate == pytest.approx(0.05)
    assert optimizer.weight_decay == pytest.approx(1e-3)
    assert float(optimizer.learning_rate) == pytest.approx(0.05)
    with pytest.raises(UserError, match=r"`optimizer\.steady_predictor` must be false but"):
        override(recipe, ["optimizer.name=adam"])
    with pytest.raises(UserError, match=r"with a predictor. Received: sgd and MoCoV2"):
        override(get_recipe("moco_v2_imagenet"), ["optimizer.steady_predictor=true"])
