"""Recipes become the networks and optimizers they describe."""

from __future__ import annotations

import dataclasses

import pytest

from burn_tf import layers, methods
from burn_tf._checks import UserError
from burn_tf.optimizers import LARS, FusedAdam
from burn_tf.recipes import get_recipe, override
from burn_tf.recipes.base import FLOAT_BACKBONES
from burn_tf.training import build_backbone, build_method, build_optimizer, building


def test_backbone_follows_the_recipe() -> None:
    network = dataclasses.replace(
        get_recipe("burn_authors").backbone, width=0.25, embedding_units=24
    )
    model = build_backbone(network, 32, "activations")
    assert model.output_shape == (None, 24)
    convolutions = [m for m in model.submodules if isinstance(m, layers.BinaryConv2D)]
    assert {c.binarize for c in convolutions} == {"activations"}
    assert {c.pad_values for c in convolutions if c.kernel_size == (3, 3)} == {0.0}
    assert {m.estimator for m in model.submodules if isinstance(m, layers.RSign)} == {"ste"}


def test_float_network_has_no_binary_stage() -> None:
    recipe = get_recipe("msbreg_digits")
    with pytest.raises(UserError, match="resnet18 is a float network"):
        build_backbone(recipe.backbone, 16, "both")


def test_the_float_backbones_are_known_without_tensorflow() -> None:
    assert set(FLOAT_BACKBONES) == set(building._RESNETS) < set(building.BACKBONES)


def test_unknown_backbone() -> None:
    recipe = override(get_recipe("burn_digits"), ["backbone.name=reactnet"])
    with pytest.raises(UserError, match="Did you mean 'reactnet_a'"):
        build_backbone(recipe.backbone, 16, "both")


def test_msbreg_options_arrive() -> None:
    recipe = override(
        get_recipe("msbreg_digits"),
        ["method.brownian_weight=0.25", "method.embedding_dim=8", "method.ema_base=0.5"],
    )
    method = build_method(recipe, None, total_steps=10)
    assert isinstance(method, methods.MSBReg)
    assert method.regularizer.brownian == 0.25
    assert method.projector.output_shape == (None, 8)
    assert float(method.ema_decay(0)) == pytest.approx(0.5)


def test_optimizers_and_their_schedule() -> None:
    recipe = get_recipe("msbreg_imagenet100")
    optimizer = build_optimizer(recipe, steps_per_epoch=10, total_steps=1000)
    assert isinstance(optimizer, LARS)
    # 0.4 * 512 / 256 * 4 views, reached after 10 epochs of 10 steps, 0 at the end.
    schedule = optimizer.get_config()["learning_rate"]["config"]
    assert schedule["base"] == pytest.approx(3.2)
    assert schedule["warmup_steps"] == 100
    assert isinstance(build_optimizer(get_recipe("burn_digits"), 5, 10), FusedAdam)


def test_burn_without_a_teacher() -> None:
    with pytest.raises(UserError, match="BURN needs a teacher"):
        build_method(get_recipe("burn_digits"), None, total_steps=1)
