"""MoCo v2 and InfoMin against NumPy: the loss, the queue, the averaged network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from burn_tf import backbones, distribute
from burn_tf._checks import UserError
from burn_tf.layers import mlp_head
from burn_tf.methods import InfoMin, MoCoV2, next_stage
from tests.methods.oracles import small_backbone, unit

Views = Callable[..., tuple[tf.Tensor, ...]]
SIZES: dict[str, Any] = {"hidden_dim": 8, "embedding_dim": 6, "queue_size": 24}
STEP = tf.constant(0, tf.int64)


@pytest.fixture
def student() -> tf.keras.Model:
    """One binary convolution: what is tested here is what comes after it."""
    return small_backbone()


def key_of(model: MoCoV2, view: tf.Tensor, training: bool = False) -> np.ndarray:
    features = model.target_backbone(view, training=training)
    return unit(model.target_projector(features, training=training).numpy())


def query_of(model: MoCoV2, view: tf.Tensor) -> np.ndarray:
    return unit(model.projector(model.backbone(view, training=True), training=True).numpy())


def contrast(query: np.ndarray, key: np.ndarray, queue: np.ndarray, temperature: float) -> float:
    positive = np.exp((query * key).sum(axis=1) / temperature)
    others = np.exp(query @ queue.T / temperature).sum(axis=1)
    return float(-np.log(positive / (positive + others)).mean())


@pytest.mark.parametrize("symmetric", [False, True])
def test_loss_and_queue(student: tf.keras.Model, views: Views, symmetric: bool) -> None:
    model = MoCoV2(student, **SIZES, temperature=0.3, symmetric=symmetric)
    images, queue = views(2), model.queue.keys.numpy().astype(np.float64)
    keys = [key_of(model, view) for view in images]
    queries = [query_of(model, view) for view in images]
    output = model.compute_terms(images, STEP)
    pairs = [(0, 1), (1, 0)] if symmetric else [(0, 1)]
    expected = np.mean([contrast(queries[a], keys[b], queue, 0.3) for a, b in pairs])
    np.testing.assert_allclose(output.terms["info_nce"], expected, rtol=1e-4)
    np.testing.assert_array_equal(model.queue.keys, queue)
    model.remember(output.remembered)
    count = len(keys[1])
    np.testing.assert_allclose(model.queue.keys[:count], keys[1], atol=1e-5)
    np.testing.assert_allclose(model.queue.keys[count:], queue[count:], atol=1e-7)


def test_target_moves_by_the_decay_alone(student: tf.keras.Model, views: Views) -> None:
    model = MoCoV2(student, **SIZES)
    model.compile(tf.keras.optimizers.SGD(0.5))
    before = [weight.numpy() for weight in model.target_backbone.weights]
    model.fit(tf.data.Dataset.from_tensors(views(2)), verbose=0)
    moved = False
    for old, new, online in zip(
        before, model.target_backbone.weights, model.backbone.weights, strict=True
    ):
        np.testing.assert_allclose(new, 0.999 * old + 0.001 * online, rtol=1e-5, atol=1e-7)
        moved |= bool(np.any(old != new))
    assert moved


def test_keys_by_their_own_batch(student: tf.keras.Model, views: Views) -> None:
    model = MoCoV2(student, **SIZES, moving_statistics=False)
    images = views(2)
    key = key_of(model, images[1], training=True)
    (remembered,) = model.compute_terms(images, STEP).remembered
    np.testing.assert_allclose(tf.math.l2_normalize(remembered, axis=-1), key, atol=1e-5)


def test_a_stage_keeps_the_networks(student: tf.keras.Model, views: Views) -> None:
    model = MoCoV2(student, **SIZES, temperature=0.3, symmetric=True)
    following = next_stage(model, "activations", total_steps=7)
    assert (following.temperature, following.symmetric, following.total_steps) == (0.3, True, 7)
    np.testing.assert_array_equal(
        following.target_projector.get_weights()[0], model.target_projector.get_weights()[0]
    )
    float_kernels = [w for w in following.target_backbone.layers if hasattr(w, "binarize")]
    assert {layer.binarize for layer in float_kernels if layer.name != "stem"} >= {"activations"}


def test_info_min_equals_the_formula(views: Views) -> None:
    backbone = backbones.ReActNetTiny((None, None, 3), include_top=False, pooling="avg")
    model = InfoMin(backbone, **SIZES, temperature=0.3, jigsaw_weight=0.25)
    images, queue = views(3), model.queue.keys.numpy().astype(np.float64)
    key, query = key_of(model, images[1]), query_of(model, images[0])
    puzzle = unit(model._puzzle(images[2], STEP).numpy())
    loss, terms = model.total_loss(model.compute_terms(images, STEP), STEP)
    first, second = (contrast(one, key, queue, 0.3) for one in (query, puzzle))
    np.testing.assert_allclose(terms["info_nce"], first, rtol=1e-4)
    np.testing.assert_allclose(terms["jigsaw"], second, rtol=1e-4)
    np.testing.assert_allclose(loss, 0.75 * first + 0.25 * second, rtol=1e-4)
    assert np.any(puzzle != unit(model._puzzle(images[2], STEP + 1).numpy())), "a new order"


def test_refuses(student: tf.keras.Model, views: Views) -> None:
    for bad, message in (
        ({"temperature": 0.0}, "`temperature` must be a number"),
        ({"queue_size": 0}, "`queue_size` must be a whole number"),
    ):
        with pytest.raises(UserError, match=message):
            MoCoV2(student, **{**SIZES, **bad})
    model = MoCoV2(student, **{**SIZES, "queue_size": 25})
    model.compile(tf.keras.optimizers.SGD(0.5))
    with pytest.raises(UserError, match="MoCoV2 needs `num_views`=2"):
        model.fit(tf.data.Dataset.from_tensors(views(3)), verbose=0)
    with pytest.raises(UserError, match="`queue_size` must be a multiple"):
        model.fit(tf.data.Dataset.from_tensors(views(2)), verbose=0)
    with pytest.raises(UserError, match="InfoMin needs `num_views`=3"):
        InfoMin(student, **SIZES).check_views(2)
    for wrong in (mlp_head(8, [4], 6), mlp_head(9 * student.output_shape[-1], [4], 5)):
        with pytest.raises(UserError, match="`jigsaw_head` must"):
            InfoMin(student, **SIZES, jigsaw_head=wrong)
    of_one_size = backbones.ReActNetTiny((16, 16, 3), include_top=False, pooling="avg")
    with pytest.raises(UserError, match=r"`backbone` must be built for images of any size"):
        InfoMin(of_one_size, **SIZES)


def test_replicas_that_keep_their_keys_are_noticed(
    student: tf.keras.Model, views: Views, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The queue holds the global batch: what is gathered of all replicas, not this one's keys."""

    def gather(tensor: tf.Tensor, axis: int = 0) -> tf.Tensor:
        return tf.concat([tensor, -tensor], axis)

    monkeypatch.setattr(distribute, "all_gather", gather)
    model = MoCoV2(student, **SIZES)
    (keys,) = model.compute_terms(views(2), STEP).remembered
    model.remember((keys,))
    own = unit(keys.numpy())
    held = model.queue.keys.numpy()[: 2 * len(own)]
    np.testing.assert_allclose(held, np.concatenate([own, -own]), rtol=1e-5, atol=1e-6)
    assert int(model.queue.position) == 2 * len(own) % model.queue.size
