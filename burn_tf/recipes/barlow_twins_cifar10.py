"""Barlow Twins on CIFAR-10 (32 px): a binary network in two stages.

Source: Zbontar et al., ICML 2021, eqs. 1 and 2; sizes, rate and length are ours, for CPUs.
Expected: not reported for this network and length.
"""

import dataclasses

from burn_tf.recipes.options import BarlowTwinsOptions
from burn_tf.recipes.small import CIFAR10

RECIPE = dataclasses.replace(
    CIFAR10,
    name="barlow_twins_cifar10",
    method=BarlowTwinsOptions(hidden_dim=512, embedding_dim=512),
)
