"""Stages hand every network over, change what is binary, and start counters anew."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.backbones import set_binarize
from burn_tf.layers import BinaryConv2D
from burn_tf.methods import BURN, MSBReg, MultiStage, Stage, next_stage

Views = Callable[..., tuple[tf.Tensor, ...]]


def binarize_modes(model: tf.keras.Model) -> set[str]:
    return {m.binarize for m in model.submodules if isinstance(m, BinaryConv2D)}


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


def test_refuses(burn: BURN) -> None:
    with pytest.raises(UserError, match="Did you mean 'both'"):
        MultiStage(burn, modes=("bot",))
    with pytest.raises(UserError, match="at least one stage"):
        MultiStage(burn, modes=())
    with pytest.raises(UserError, match=r"networks of the method\. Received: 'nothing'"):
        MultiStage(burn, restart=("nothing",))
