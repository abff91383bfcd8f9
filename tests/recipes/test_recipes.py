"""Every recipe is whole, and settings replace what they name."""

from __future__ import annotations

import dataclasses
import math

import pytest

from burn_tf._checks import UserError
from burn_tf.data import get_policy
from burn_tf.recipes import get_recipe, list_recipes, override, setting_keys
from burn_tf.training import dry_run

REQUIRED = {
    "burn_digits",
    "burn_cifar10",
    "burn_paper",
    "burn_authors",
    "msbreg_digits",
    "msbreg_cifar10",
    "msbreg_imagenet100",
    "msbreg_imagenet",
}
LARGE = {"burn_paper", "burn_authors", "msbreg_imagenet100", "msbreg_imagenet"}


def test_required_recipes_exist() -> None:
    assert set(list_recipes()) >= REQUIRED


@pytest.mark.parametrize("name", list_recipes())
def test_recipe_is_whole(name: str) -> None:
    recipe = get_recipe(name)
    assert recipe.name == name
    assert get_policy(recipe.views.policy).name == recipe.views.policy
    if recipe.teacher is not None and recipe.teacher.recipe is not None:
        teacher = get_recipe(recipe.teacher.recipe)
        assert teacher.views.image_size == recipe.views.image_size
    import importlib

    header = importlib.import_module(f"burn_tf.recipes.{name}").__doc__ or ""
    assert "Source:" in header
    assert "Expected" in header or "Cost and result" in header


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(list_recipes()) - LARGE))
def test_dry_run(name: str) -> None:
    figures = dry_run(get_recipe(name))
    assert math.isfinite(figures["loss"]) and figures["grad_norm"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(LARGE))
def test_dry_run_of_large_recipes(name: str) -> None:
    figures = dry_run(get_recipe(name))
    assert math.isfinite(figures["loss"]) and figures["grad_norm"] > 0


def test_settings_are_typed() -> None:
    recipe = override(
        get_recipe("burn_digits"),
        [
            "epochs=3",
            "optimizer.learning_rate=0.5",
            "optimizer.scale_rate=true",
            "stages=both",
            "backbone.embedding_units=32",
            "max_steps=none",
        ],
    )
    assert (recipe.epochs, recipe.optimizer.learning_rate, recipe.optimizer.scale_rate) == (
        3,
        0.5,
        True,
    )
    assert recipe.stages == ("both",)
    assert recipe.backbone.embedding_units == 32
    assert recipe.max_steps is None
    assert get_recipe("burn_digits").epochs != 3


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("epochs", "takes key=value. Received: 'epochs'"),
        ("epoch=3", "Did you mean 'epochs'"),
        ("optimizer.learning_rte=3", "Did you mean 'optimizer.learning_rate'"),
        ("learning_rate=3", "Did you mean 'optimizer.learning_rate'"),
        ("optimizer=adam", "unknown key 'optimizer'"),
        ("name=other", "unknown key 'name'"),
        ("epochs=three", "`epochs` must be a int. Received: 'three'"),
        ("epochs=0", "`epochs` must be a whole number"),
        ("batch_size=1", "`batch_size` must be a whole number with 2"),
        ("precision=float64", "`precision` must be one of"),
        ("optimizer.name=adma", "Did you mean 'adam'"),
        ("optimizer.scale_rate=maybe", "`optimizer.scale_rate` must be one of"),
        ("stages=", "at least one stage"),
        ("stages=all", "`stages` must be one of"),
    ],
)
def test_bad_settings(setting: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        override(get_recipe("burn_digits"), [setting])


def test_unknown_recipe() -> None:
    with pytest.raises(UserError, match="Did you mean 'burn_digits'"):
        get_recipe("burn_digit")


def test_keys_are_all_accepted() -> None:
    recipe = get_recipe("burn_digits")
    keys = setting_keys(recipe)
    assert "method.temperature" in keys and "teacher.weights" in keys
    assert dataclasses.is_dataclass(recipe)
