"""Schedules against tables worked out with Python's math module."""

from __future__ import annotations

import math

import numpy as np
import pytest
import tensorflow as tf

from burn_tf.schedules import EMADecay, FeatureWeight, WarmupCosine, scaled_learning_rate

SCHEDULES = [
    FeatureWeight(total_steps=100, start=0.8, end=0.3),
    FeatureWeight(total_steps=100, kind="step"),
    FeatureWeight(total_steps=100, kind="constant"),
    EMADecay(total_steps=100, base=0.996),
    WarmupCosine(0.4, warmup_steps=10, total_steps=100, end=0.01),
]


@pytest.mark.parametrize(
    ("kind", "table"),
    [
        ("cosine", {0: 0.9, 25: 0.87071068, 50: 0.8, 75: 0.72928932, 100: 0.7}),
        ("constant", {0: 0.7, 50: 0.7, 100: 0.7}),
        ("step", {0: 0.9, 49: 0.9, 50: 0.7, 100: 0.7}),
    ],
)
def test_feature_weight_table(kind: str, table: dict[int, float]) -> None:
    weight = FeatureWeight(total_steps=100, kind=kind)
    for step, expected in table.items():
        assert float(weight(step)) == pytest.approx(expected, abs=1e-6)


def test_feature_weight_follows_equation_3() -> None:
    weight = FeatureWeight(total_steps=37, start=0.25, end=0.75)
    for step in range(38):
        expected = 0.75 - (0.75 - 0.25) * (math.cos(math.pi * step / 37) + 1) / 2
        assert float(weight(step)) == pytest.approx(expected, abs=1e-6)


def test_step_of_an_odd_total_changes_after_the_middle() -> None:
    weight = FeatureWeight(total_steps=5, kind="step")
    np.testing.assert_allclose([weight(step) for step in range(6)], [0.9] * 3 + [0.7] * 3)


def test_ema_decay_table() -> None:
    decay = EMADecay(total_steps=1000)
    for step, expected in {0: 0.99, 500: 0.995, 750: 0.99853553, 1000: 1.0}.items():
        assert float(decay(step)) == pytest.approx(expected, abs=1e-7)
    assert float(EMADecay(10, base=0.999, end=0.999)(7)) == pytest.approx(0.999, abs=1e-7)


def test_warmup_cosine_table() -> None:
    rate = WarmupCosine(2.0, warmup_steps=4, total_steps=12, end=1.0)
    table = {0: 0, 1: 0.5, 3: 1.5, 4: 2.0, 6: 1.85355339, 8: 1.5, 10: 1.14644661, 12: 1.0}
    for step, expected in table.items():
        assert float(rate(step)) == pytest.approx(expected, abs=1e-6)


def test_warmup_cosine_without_warmup_and_with_nothing_else() -> None:
    assert float(WarmupCosine(2.0, warmup_steps=0, total_steps=8)(0)) == 2.0
    only = WarmupCosine(2.0, warmup_steps=8, total_steps=8)
    np.testing.assert_allclose(
        [only(0), only(4), only(8), only(9)], [0.0, 1.0, 2.0, 0.0], atol=1e-7
    )


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: type(s).__name__)
class TestEverySchedule:
    def test_holds_its_ends(self, schedule) -> None:
        assert float(schedule(-5)) == float(schedule(0))
        assert float(schedule(100_000_000)) == float(schedule(100))

    def test_any_kind_of_step_gives_float32(self, schedule) -> None:
        expected = float(schedule(30))
        steps = [tf.constant(30), tf.constant(30, tf.int64), tf.Variable(30, dtype=tf.int64), 30.0]
        for step in steps:
            value = schedule(step)
            assert value.dtype == tf.float32
            assert value.shape == ()
            assert float(value) == expected

    def test_graph_equals_eager_without_retracing(self, schedule) -> None:
        traced = tf.function(schedule.__call__)
        for step in (0, 5, 50, 100):
            value = traced(tf.constant(step, tf.int64))
            np.testing.assert_allclose(value, schedule(step), rtol=1e-6)
        assert traced.experimental_get_tracing_count() == 1

    def test_config_round_trip(self, schedule) -> None:
        config = tf.keras.saving.serialize_keras_object(schedule)
        again = tf.keras.saving.deserialize_keras_object(config)
        assert type(again) is type(schedule)
        assert again.get_config() == schedule.get_config()
        assert float(again(30)) == float(schedule(30))


def test_drives_a_keras_optimizer_by_its_updates() -> None:
    optimizer = tf.keras.optimizers.SGD(WarmupCosine(1.0, warmup_steps=2, total_steps=4))
    weight = tf.Variable(0.0)
    seen = []
    for _ in range(5):
        optimizer.apply_gradients([(tf.constant(1.0), weight)])
        seen.append(float(weight))
    np.testing.assert_allclose(np.diff([0.0, *seen]), [0.0, -0.5, -1.0, -0.5, 0.0], atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"batch": 256}, 0.4),
        ({"batch": 512, "views": 4}, 3.2),
        ({"batch": 64}, 0.1),
        ({"batch": 1024, "rule": "sqrt"}, 0.8),
        ({"batch": 256, "views": 4, "rule": "sqrt"}, 0.8),
    ],
)
def test_scaled_learning_rate(arguments: dict, expected: float) -> None:
    assert scaled_learning_rate(0.4, **arguments) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: FeatureWeight(0), "`total_steps`.*Received: 0"),
        (lambda: FeatureWeight(10, start=1.1), "`start`.*Received: 1.1"),
        (lambda: FeatureWeight(10, end=-0.1), "`end`.*Received: -0.1"),
        (lambda: FeatureWeight(10, kind="cosin"), "Did you mean 'cosine'"),
        (lambda: EMADecay(*[10.5]), "`total_steps`.*Received: 10.5"),
        (lambda: EMADecay(10, base=2), "`base`.*Received: 2"),
        (lambda: EMADecay(10, end=math.nan), "`end`.*Received: nan"),
        (lambda: WarmupCosine(-1.0, 0, 10), "`base`.*Received: -1.0"),
        (lambda: WarmupCosine(1.0, 11, 10), "`warmup_steps`.*Received: 11"),
        (lambda: WarmupCosine(1.0, -1, 10), "`warmup_steps`.*Received: -1"),
        (lambda: WarmupCosine(1.0, 1, 10, end=-1.0), "`end`.*Received: -1.0"),
        (lambda: scaled_learning_rate(0.1, 0), "`batch`.*Received: 0"),
        (lambda: scaled_learning_rate(0.1, 8, views=0), "`views`.*Received: 0"),
        (lambda: scaled_learning_rate(0.1, 8, rule="root"), "`rule`.*'linear', 'sqrt'"),
    ],
)
def test_bad_arguments(build, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()
