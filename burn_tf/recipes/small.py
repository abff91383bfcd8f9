"""What recipes for digits and CIFAR-10 share: `burn_digits` and `burn_cifar10` with two views.

Sizes, rates and lengths are ours; a run on digits takes a minute or two on two CPU cores. Recipes
differ in their method's options alone, so that their results can be compared. On digits they have a
small network: ReActNet-A, which BURN trains there for 20 epochs a stage, learns nothing in six
(`linear:fast` after the first stage: SimCLR v2 38 %, VICReg 22 %, SwAV and BYOL 16 %; untrained 27
to 34 %; the small network after both stages: 83, 79, 75, 67 %, untrained 54 to 59 %; 2026-11-23,
commit bac9adf).
"""

import dataclasses

from burn_tf.recipes import burn_cifar10, burn_digits
from burn_tf.recipes.base import Network, Recipe


def _two_views(recipe: Recipe, name: str, epochs: int) -> Recipe:
    views = dataclasses.replace(recipe.views, num_views=2)
    return dataclasses.replace(recipe, name=name, views=views, epochs=epochs, teacher=None)


DIGITS = dataclasses.replace(
    _two_views(burn_digits.RECIPE, "digits", epochs=6),
    backbone=Network("reactnet_tiny", stem_strides=1),
)
CIFAR10 = _two_views(burn_cifar10.RECIPE, "cifar10", epochs=2)
