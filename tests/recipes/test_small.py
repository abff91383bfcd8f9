"""Recipes for CIFAR-10 differ in their method alone, and those for digits do from each other."""

from __future__ import annotations

import dataclasses

import pytest

from burn_tf.recipes import get_recipe, list_recipes
from burn_tf.recipes.base import Network

SHARED = ("backbone", "optimizer", "batch_size", "stages", "precision", "seed")
# The float teachers, and what its paper tunes.
OWN_SETTINGS = ("burn", "msbreg", "moco_v2_tuned")
COMPARED = [
    (name, data)
    for data in ("digits", "cifar10")
    for name in list_recipes()
    if name.endswith(f"_{data}") and name.removesuffix(f"_{data}") not in OWN_SETTINGS
]


def test_ten_methods_and_more_are_compared_on_each() -> None:
    for data in ("digits", "cifar10"):
        assert sum(found == data for _, found in COMPARED) > 10


@pytest.mark.parametrize(("name", "data"), COMPARED)
def test_all_but_the_method_is_burns(name: str, data: str) -> None:
    recipe, burn = get_recipe(name), get_recipe(f"burn_{data}")
    if data == "digits":
        # Six epochs are enough for a small network alone.
        burn = dataclasses.replace(burn, backbone=Network("reactnet_tiny", stem_strides=1))
    for field in SHARED:
        assert getattr(recipe, field) == getattr(burn, field), field
    views = dataclasses.replace(recipe.views, num_views=burn.views.num_views)
    assert views == burn.views
    assert type(recipe.method) is not type(burn.method)
    assert recipe.epochs <= burn.epochs
