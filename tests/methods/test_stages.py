"""Stages hand every network over, change what is binary, and start counters anew."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.backbones import set_binarize
from burn_tf.layers import BinaryConv2D
from burn_tf.methods import (
    BURN,
    BYOL,
    S2BNN,
    MoCoV2,
    MSBReg,
    MultiStage,
    SSLMethod,
    Stage,
    SwAV,
    next_stage,
)
from burn_tf.schedules import EMADecay
from tests.methods.oracles import small_backbone

Views = Callable[..., tuple[tf.Tensor, ...]]


def binarize_modes(model: tf.keras.Model) -> set[str]:
    return {m.binarize for m in model.submodules if isinstance(m, BinaryConv2D)}


@pytest.fixture
def student() -> tf.keras.Model:
    """One binary convolution: what is tested here is what a stage makes of networks."""
    return small_backbone()


@pytest.fixture
def burn(student: tf.keras.Model, teacher: tf.keras.Model) -> BURN:
    first = set_binarize(student, "activations")
    return BURN(first, teacher, num_outputs=12, hidden_dim=8, total_steps=3)


def test_hand_over_of_k_l_and_g(burn: BURN, views: Views) -> None:
    burn.compile(tf.keras.optimizers.SGD(0.1))
    burn.fit(tf.data.Dataset.from_tensors(views(1)).repeat(3), verbose=0)
    following = next_stage(burn, "both", total_steps=7)
    for name in ("backbone", "classifier", "teacher_classifier", "teacher", "projection"):
        old, new = getattr(burn, name), getattr(following, name)
        assert old is not new
        for a, b in zip(old.get_weights(), new.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b, err_msg=name)
    assert binarize_modes(burn.backbone) == {"activations"}
    assert binarize_modes(following.backbone) == {"both"}
    assert following.update_step.numpy() == 0
    assert following.feature_weight(tf.constant(7)).numpy() == pytest.approx(0.7)
    assert following.feature_weight(tf.constant(3)).numpy() > 0.7


def test_usual_scheme_restarts_g_alone(burn: BURN) -> None:
    following = next_stage(burn, "both", restart=("teacher_classifier",))
    old, new = burn.teacher_classifier.get_weights(), following.teacher_classifier.get_weights()
    assert any(np.any(a != b) for a, b in zip(old, new, strict=True))
    for a, b in zip(burn.classifier.get_weights(), following.classifier.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_runs_every_stage_in_turn(burn: BURN, views: Views) -> None:
    seen = []

    def train(stage: Stage) -> float:
        seen.append((stage.index, stage.binarize, binarize_modes(stage.method.backbone)))
        stage.method.compile(tf.keras.optimizers.SGD(0.1))
        history = stage.method.fit(tf.data.Dataset.from_tensors(views(1)), verbose=0).history
        return history["loss"][0]

    losses = MultiStage(burn).run(train)
    assert seen == [(0, "activations", {"activations"}), (1, "both", {"both"})]
    assert len(losses) == 2


def test_target_network_changes_mode_too(student: tf.keras.Model) -> None:
    model = MSBReg(set_binarize(student, "activations"), hidden_dim=8, embedding_dim=6)
    following = next_stage(model, "both")
    assert binarize_modes(following.target_backbone) == {"both"}


def _byol(student: tf.keras.Model) -> BYOL:
    return BYOL(student, hidden_dim=8, embedding_dim=6, ema_decay=EMADecay(9, base=0.9))


def _moco(student: tf.keras.Model) -> MoCoV2:
    return MoCoV2(student, hidden_dim=8, embedding_dim=6, queue_size=12)


def _swav(student: tf.keras.Model) -> SwAV:
    return SwAV(student, hidden_dim=8, embedding_dim=6, num_prototypes=4, queue_size=12)


def _s2bnn(student: tf.keras.Model) -> S2BNN:
    contrast = {"queue_size": 12}
    return S2BNN(student, mode="contrastive", hidden_dim=8, embedding_dim=6, contrast=contrast)


@pytest.mark.parametrize("make", [_byol, _moco, _swav, _s2bnn])
def test_averages_and_queues_go_on(
    make: Callable[[tf.keras.Model], SSLMethod], student: tf.keras.Model, views: Views
) -> None:
    def state(method: SSLMethod) -> dict[str, np.ndarray]:
        of = method.contrast if isinstance(method, S2BNN) else method
        names = ("decay_product", "queue_keys", "queue_position", "queue_state", "queue_rows")
        found = {name: getattr(of, name) for name in names if hasattr(of, name)}
        return {f"{name} {i}": v.numpy() for name in found for i, v in enumerate(flat(found[name]))}

    def flat(value: object) -> list[tf.Variable]:
        return list(value) if isinstance(value, (list, tuple)) else [value]

    method = make(set_binarize(student, "activations"))
    before = state(method)
    method.compile(tf.keras.optimizers.SGD(0.1))
    method.fit(tf.data.Dataset.from_tensors(views(2)).repeat(3), verbose=0)
    after = state(method)
    changed = [name for name in after if np.any(after[name] != before[name])]
    assert changed, "nothing to hand over"
    carried = state(next_stage(method, "both"))
    for name, value in after.items():
        np.testing.assert_array_equal(carried[name], value, err_msg=name)


def test_a_target_is_not_overwritten_by_the_first_update_of_a_stage(
    student: tf.keras.Model, views: Views
) -> None:
    method = _byol(set_binarize(student, "activations"))
    method.compile(tf.keras.optimizers.SGD(0.1))
    method.fit(tf.data.Dataset.from_tensors(views(2)).repeat(3), verbose=0)
    following = next_stage(method, "both")
    following.compile(tf.keras.optimizers.SGD(0.0))
    following.fit(tf.data.Dataset.from_tensors(views(2)), verbose=0)
    kernel = following.projector.trainable_weights[0].numpy()
    old = method.target_projector.trainable_weights[0].numpy()
    share = 0.1 / (1 - 0.9 * method.decay_product.numpy())
    new = following.target_projector.trainable_weights[0].numpy()
    np.testing.assert_allclose(new, (1 - share) * old + share * kernel, rtol=1e-5, atol=1e-7)
    assert np.abs(new - kernel).max() > 1e-3


def test_refuses(burn: BURN) -> None:
    with pytest.raises(UserError, match="Did you mean 'both'"):
        MultiStage(burn, modes=("bot",))
    with pytest.raises(UserError, match="at least one stage"):
        MultiStage(burn, modes=())
    with pytest.raises(UserError, match=r"networks of the method\. Received: 'nothing'"):
        MultiStage(burn, restart=("nothing",))
