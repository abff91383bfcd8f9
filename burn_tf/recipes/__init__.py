"""Recipes: one file per method and data set, found by name."""

from __future__ import annotations

import importlib
import pkgutil

from burn_tf._checks import check_choice
from burn_tf.recipes.base import Recipe, override, setting_keys

_PARTS = frozenset({"base", "imagenet", "options", "small"})

__all__ = ["Recipe", "get_recipe", "list_recipes", "override", "setting_keys"]


def list_recipes() -> list[str]:
    """Names of all recipes: the modules of this package that define one."""
    return sorted(
        module.name for module in pkgutil.iter_modules(__path__) if module.name not in _PARTS
    )


def get_recipe(name: str) -> Recipe:
    """The recipe of this name.

    Raises:
        UserError: for an unknown name; the nearest one is named.
    """
    check_choice("recipe", name, list_recipes())
    recipe: Recipe = importlib.import_module(f"burn_tf.recipes.{name}").RECIPE
    return recipe
