"""What the small recipes share is BURN's own, but for the number of views and the length."""

from __future__ import annotations

import dataclasses

import pytest

from burn_tf.recipes import Recipe, get_recipe
from burn_tf.recipes.small import CIFAR10, DIGITS


@pytest.mark.parametrize(("shared", "name"), [(DIGITS, "burn_digits"), (CIFAR10, "burn_cifar10")])
def test_shared_settings_are_those_of_burn(shared: Recipe, name: str) -> None:
    burn = get_recipe(name)
    assert shared.views == dataclasses.replace(burn.views, num_views=2)
    kept = ("method", "backbone", "optimizer", "batch_size", "stages", "precision", "seed")
    for field in kept:
        assert getattr(shared, field) == getattr(burn, field)
    assert shared.teacher is None
    assert 1 <= shared.epochs <= burn.epochs
