"""The SGD probe against the same updates in NumPy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.evaluation import LinearProbe, get_protocol, linear, raw_pixels


def _oracle(features, labels, classes, *, rates, momentum, decay, batch, seed):
    """SGD in float64, with the gradient from differences of the loss."""
    rows = np.concatenate([features, np.ones((len(features), 1))], axis=1).astype(np.float64)
    start = tf.random.stateless_normal([features.shape[1], classes], [seed, 0], stddev=0.01)
    weights = np.concatenate([np.asarray(start, np.float64), np.zeros((1, classes))])
    velocity = np.zeros_like(weights)

    def loss(candidate, chosen):
        logits = rows[chosen] @ candidate
        log_sum = np.log(np.sum(np.exp(logits), axis=1))
        return np.mean(log_sum - logits[np.arange(len(chosen)), labels[chosen]])

    for epoch, rate in enumerate(rates):
        order = np.random.default_rng((seed, epoch)).permutation(len(labels))
        for first in range(0, len(labels), batch):
            chosen, gradient = order[first : first + batch], np.zeros_like(weights)
            for place in np.ndindex(*weights.shape):
                step = np.zeros_like(weights)
                step[place] = 1e-5
                rise = loss(weights + step, chosen) - loss(weights - step, chosen)
                gradient[place] = rise / 2e-5
            velocity = momentum * velocity + gradient + decay * weights
            weights = weights - rate * velocity
    return weights


def test_updates_equal_numpy():
    rng = np.random.default_rng(0)
    features, labels = rng.normal(size=(11, 3)).astype(np.float32), rng.integers(0, 4, 11)
    probe = LinearProbe(
        learning_rate=0.5,
        epochs=3,
        decay_epochs=(1, 2),
        decay_factor=0.1,
        momentum=0.8,
        weight_decay=0.03,
        batch_size=4,
        seed=5,
    )
    probed = np.concatenate([np.eye(3), np.zeros((1, 3))])
    scores = probe.fit_scores(features, labels, probed, 4)
    expected = _oracle(
        features, labels, 4, rates=[0.5, 0.05, 0.005], momentum=0.8, decay=0.03, batch=4, seed=5
    )
    np.testing.assert_allclose(scores[:3] - scores[3], expected[:3], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(scores[3], expected[3], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("protocol", "rates"),
    [
        ("linear:burn", {0: 30.0, 59: 30.0, 60: 3.0, 79: 3.0, 80: 0.3, 99: 0.3}),
        ("linear:burn-scene", {0: 0.01, 6: 0.01, 7: 1e-3, 14: 1e-4, 21: 1e-5, 27: 1e-5}),
        ("linear:msbreg", {0: 0.2, 60: 0.02, 80: 0.002}),
    ],
)
def test_schedule_table(protocol, rates):
    probe = get_protocol(protocol)
    assert isinstance(probe, LinearProbe)
    for epoch, rate in rates.items():
        assert probe.rate(epoch) == pytest.approx(rate)


def test_golden_features_give_the_golden_accuracy(golden):
    result = LinearProbe(learning_rate=0.1, epochs=20).run(raw_pixels, golden)
    assert result.metrics == {"top1": 92.5}


def test_a_batch_larger_than_the_data_is_the_whole_data():
    rng = np.random.default_rng(0)
    features, labels = rng.normal(size=(9, 3)).astype(np.float32), np.arange(9) % 2
    whole, larger = (
        LinearProbe(learning_rate=1.0, epochs=5, batch_size=size).fit_scores(
            features, labels, features, 2
        )
        for size in (9, 1000)
    )
    np.testing.assert_array_equal(whole, larger)


def test_a_mapped_bank_in_blocks_is_the_same_training(monkeypatch, tmp_path: Path):
    rng = np.random.default_rng(0)
    features, labels = rng.normal(size=(50, 3)).astype(np.float16), rng.integers(0, 4, 50)
    np.save(tmp_path / "bank.npy", features)
    mapped = np.load(tmp_path / "bank.npy", mmap_mode="r")
    probe = LinearProbe(learning_rate=0.5, epochs=3, weight_decay=0.01, batch_size=4)
    whole = probe.fit_scores(features.astype(np.float32), labels, features, 4)
    # Blocks of two batches; the last one is half a batch.
    monkeypatch.setattr(linear, "_BLOCK_VALUES", 2 * 4 * 3)
    monkeypatch.setattr(linear, "_SCORED_ROWS", 7)
    blocks = probe.fit_scores(mapped, labels, mapped, 4)
    np.testing.assert_allclose(blocks, whole, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("epochs", [1, 100])
def test_divergence_is_an_error_and_not_a_number(epochs):
    features = np.random.default_rng(0).normal(size=(64, 4)).astype(np.float32) * 1e36
    with pytest.raises(UserError, match=r"diverged in epoch [01]: .*linear:fast"):
        LinearProbe(epochs=epochs).fit_scores(features, np.arange(64) % 2, features, 2)


@pytest.mark.parametrize(
    "arguments",
    [
        {"learning_rate": 0.0},
        {"epochs": 0},
        {"decay_epochs": [-1]},
        {"decay_factor": 0.0},
        {"momentum": 1.0},
        {"weight_decay": -1e-4},
        {"batch_size": 0},
        {"seed": -1},
    ],
)
def test_arguments_are_checked(arguments):
    with pytest.raises(UserError, match=next(iter(arguments))):
        LinearProbe(**arguments)


def test_config_is_complete():
    probe = get_protocol("linear:burn-scene")
    assert isinstance(probe, LinearProbe)
    assert LinearProbe(**probe.get_config()).get_config() == probe.get_config()
