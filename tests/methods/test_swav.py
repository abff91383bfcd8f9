"""SwAV's codes, queue, multi-crop and frozen prototypes against NumPy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.methods.prototypes import Prototypes
from burn_tf.methods.stages import next_stage
from burn_tf.methods.swav import SwAV
from tests.methods.oracles import (
    assert_replicas_equal_one,
    embeddings_of,
    loss_and_terms,
    small_backbone,
    unit,
)

Views = Callable[..., tuple[tf.Tensor, ...]]
SIZES: dict[str, Any] = {"hidden_dim": 8, "embedding_dim": 4, "num_prototypes": 5}
BATCH = 6


def even_codes(scores: np.ndarray, epsilon: float, iterations: int) -> np.ndarray:
    """Sinkhorn and Knopp as the paper has it: columns, then rows, of exp(scores / epsilon)."""
    codes = np.exp((scores - scores.max()) / epsilon)
    for _ in range(iterations):
        codes /= codes.sum(axis=0, keepdims=True)
        codes /= codes.sum(axis=1, keepdims=True)
    return codes


def swapped(codes: Sequence[np.ndarray], scores: np.ndarray, temperature: float) -> float:
    logits = scores / temperature
    log_p = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    pairs = [(g, k) for g in range(len(codes)) for k in range(len(scores)) if k != g]
    return float(np.mean([-(codes[g] * log_p[k]).sum(axis=-1).mean() for g, k in pairs]))


def scores_of(model: SwAV, embeddings: np.ndarray) -> np.ndarray:
    kernel = model.prototypes.kernel.numpy().astype(np.float64)
    return unit(embeddings) @ unit(kernel).T


@pytest.mark.parametrize(
    ("count", "options"),
    [
        (2, {}),
        (4, {"temperature": 0.5, "epsilon": 0.2, "iterations": 1}),
        (3, {"global_views": 1}),
        (3, {"global_views": 3}),
    ],
)
def test_term_equals_the_formula(views: Views, count: int, options: dict[str, Any]) -> None:
    model = SwAV(small_backbone(), **SIZES, **options)
    images = views(count)
    scores = scores_of(model, embeddings_of(model, images))
    settings = {"temperature": 0.1, "epsilon": 0.05, "iterations": 3, "global_views": 2, **options}
    first = scores[: settings["global_views"]]
    codes = [even_codes(s, settings["epsilon"], settings["iterations"]) for s in first]
    expected = swapped(codes, scores, settings["temperature"])
    loss, terms = loss_and_terms(model, images)
    assert terms == {"swapped_prediction": pytest.approx(expected, rel=1e-3)}
    assert loss == terms["swapped_prediction"]


def test_the_information_of_the_codes(views: Views) -> None:
    model = SwAV(small_backbone(), **SIZES)
    images = views(2)
    codes = even_codes(scores_of(model, embeddings_of(model, images))[0], 0.05, 3)
    entropy = -np.sum(codes.mean(axis=0) * np.log(codes.mean(axis=0)))
    expected = entropy + np.mean(np.sum(codes * np.log(codes), axis=-1))
    output = model.compute_terms(images, tf.constant(0))
    assert float(output.figures["code_information"]) == pytest.approx(expected, rel=1e-3)
    # One image in place of all: the code is that of every image, and says nothing.
    same = tuple(tf.repeat(view[:1], len(view), axis=0) for view in images)
    output = model.compute_terms(same, tf.constant(0))
    assert float(output.figures["code_information"]) == pytest.approx(0.0, abs=1e-5)
    assert float(output.terms["swapped_prediction"]) >= np.log(SIZES["num_prototypes"]) - 1e-4


def test_local_views_are_smaller_images_that_only_predict(views: Views) -> None:
    model = SwAV(small_backbone(), **SIZES)
    large = views(2)
    small = [tf.image.resize(view, (8, 8)) for view in large]
    images = (*large, *small)
    z = embeddings_of(model, images)
    scores = scores_of(model, z)
    codes = [even_codes(s, 0.05, 3) for s in scores[:2]]
    expected = swapped(codes, scores, 0.1)
    model.compile(tf.keras.optimizers.SGD(0.1))
    history = model.fit(tf.data.Dataset.from_tensors(images), verbose=0).history
    assert history["loss"][0] == pytest.approx(expected, rel=1e-3)


def test_queue_joins_once_it_is_full_and_started(views: Views) -> None:
    model = SwAV(small_backbone(), **SIZES, queue_size=2 * BATCH, queue_start=3)
    images = views(2)
    z = embeddings_of(model, images)
    scores = scores_of(model, z)
    alone = [even_codes(s, 0.05, 3) for s in scores]
    rng = np.random.default_rng(0)
    earlier = rng.standard_normal((2, 2 * BATCH, 4))
    model.queue_rows.assign(2 * BATCH)
    for used, step in ((False, 2), (True, 3)):
        for queue, rows in zip(model.queues, earlier, strict=True):
            queue.keys.assign(rows)
            queue.position.assign(BATCH)
        joined = [
            even_codes(np.concatenate([s, scores_of(model, rows)]), 0.05, 3)[:BATCH]
            for s, rows in zip(scores, earlier, strict=True)
        ]
        update = tf.constant(step, tf.int64)
        _, terms = loss_and_terms(model, images, update)
        expected = swapped(joined if used else alone, scores, 0.1)
        assert terms["swapped_prediction"] == pytest.approx(expected, rel=1e-3)
        model.remember(model.compute_terms(images, update).remembered)
        for queue, rows, new in zip(model.queues, earlier, z, strict=True):
            np.testing.assert_allclose(queue.keys[:BATCH], rows[:BATCH], rtol=1e-6)
            np.testing.assert_allclose(queue.keys[BATCH:], new, rtol=1e-3, atol=1e-4)
            assert int(queue.position) == 0
    assert abs(swapped(alone, scores, 0.1) - swapped(joined, scores, 0.1)) > 0.01
    assert int(model.queue_rows) == 4 * BATCH
    model.queue_start = 0
    model.queue_rows.assign(2 * BATCH - 1)
    _, terms = loss_and_terms(model, images, tf.constant(9, tf.int64))
    filling = swapped(alone, scores, 0.1)
    assert terms["swapped_prediction"] == pytest.approx(filling, rel=1e-3), "not full"


def test_the_next_stage_uses_the_queue_from_its_first_update(views: Views) -> None:
    model = SwAV(small_backbone(), **SIZES, queue_size=2 * BATCH)
    model.compile(tf.keras.optimizers.SGD(0.1))
    images = views(2)
    model.fit(tf.data.Dataset.from_tensors(images).repeat(2), verbose=0)
    following = next_stage(model, "none")
    first = tf.constant(0, tf.int64)
    before = loss_and_terms(following, images, first)[1]["swapped_prediction"]
    for queue in following.queues:
        queue.keys.assign(tf.roll(queue.keys, 1, axis=1))
    after = loss_and_terms(following, images, first)[1]["swapped_prediction"]
    assert abs(before - after) > 1e-3


def test_prototypes_wait_for_the_frozen_steps(views: Views) -> None:
    model = SwAV(small_backbone(), **SIZES, frozen_steps=2)
    model.compile(tf.keras.optimizers.SGD(0.1, momentum=0.9))
    start = model.prototypes.get_weights()[0]
    norms, moved = [], []
    for _ in range(3):
        logs = model.fit(tf.data.Dataset.from_tensors(views(2)), verbose=0).history
        norms.append(logs["grad_norm_prototypes"][0])
        moved.append(np.abs(model.prototypes.get_weights()[0] - start).max())
    assert norms[:2] == moved[:2] == [0.0, 0.0]
    assert norms[2] > 0
    assert moved[2] > 0


def test_queue_is_saved(tmp_path: Path) -> None:
    model = SwAV(small_backbone(), **SIZES, queue_size=2 * BATCH)
    rng = np.random.default_rng(0)
    for queue in model.queues:
        queue.push(rng.standard_normal((BATCH, 4)))
    held = {id(weight) for weight in model.non_trainable_weights}
    assert all(id(state) in held for q in model.queues for state in (q.keys, q.position))
    model.queue_rows.assign(7)
    model(tf.zeros((1, 8, 8, 3)))
    model.save(tmp_path / "swav.keras")
    again = tf.keras.models.load_model(tmp_path / "swav.keras")
    for queue, copy in zip(model.queues, again.queues, strict=True):
        np.testing.assert_array_equal(copy.keys, queue.keys)
        assert int(copy.position) == BATCH
    assert int(again.queue_rows) == 7


def test_two_replicas_share_codes_and_queue(two_replicas: tf.distribute.Strategy) -> None:
    """The last of three updates uses the queue."""
    assert_replicas_equal_one(
        lambda flat: SwAV(flat, **SIZES, global_views=1, queue_size=16), two_replicas, batch=8
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("num_prototypes", 1),
        ("temperature", 0.0),
        ("epsilon", 0.0),
        ("iterations", 0),
        ("global_views", 0),
        ("queue_size", -1),
        ("queue_start", -1),
        ("frozen_steps", -1),
    ],
)
def test_refuses_values(name: str, value: float) -> None:
    with pytest.raises(UserError, match=f"`{name}` must be a "):
        SwAV(small_backbone(), **{**SIZES, name: value})


def test_refuses_what_does_not_fit(views: Views) -> None:
    other = Prototypes(5)
    other.build((None, 3))
    with pytest.raises(UserError, match=r"`prototypes` must be .* size, 4\. Received: 3"):
        SwAV(small_backbone(), prototypes=other, **SIZES)
    plain: Any = tf.keras.layers.Dense(5, use_bias=False)
    with pytest.raises(UserError, match=r"a layer burn_tf\.methods\.Prototypes\. Received: Dense"):
        SwAV(small_backbone(), prototypes=plain, **SIZES)
    with pytest.raises(UserError, match="`num_views` must be a whole number with 3 <= value"):
        SwAV(small_backbone(), **SIZES, global_views=3).check_views(2)
    model = SwAV(small_backbone(), **SIZES, queue_size=8)
    model.compile(tf.keras.optimizers.SGD(0.1))
    with pytest.raises(UserError, match="`queue_size` must be a multiple of the batch size"):
        model.fit(tf.data.Dataset.from_tensors(views(2)), verbose=0)
