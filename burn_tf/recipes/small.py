"""What recipes for digits and CIFAR-10 share: `burn_digits` and `burn_cifar10` with two views.

Sizes, rates and lengths are ours; a run on digits takes a minute or two on two CPU cores. Recipes
differ in their method's options alone, so that their results can be compared.
"""

import dataclasses

from burn_tf.recipes import burn_cifar10, burn_digits
from burn_tf.recipes.base import Recipe


def _two_views(recipe: Recipe, name: str, epochs: int) -> Recipe:
    views = dataclasses.replace(recipe.views, num_views=2)
    return dataclasses.replace(recipe, name=name, views=views, epochs=epochs, teacher=None)


DIGITS = _two_views(burn_digits.RECIPE, "digits", epochs=6)
CIFAR10 = _two_views(burn_cifar10.RECIPE, "cifar10", epochs=2)
