"""VICReg on CIFAR-10 (32 px): a binary network in two stages.

Source: Bardes et al., ICLR 2022, eqs. 1 to 6; sizes, rate and length are ours, for CPUs.
Expected: not reported for this network and length.
"""

import dataclasses

from burn_tf.recipes.options import VICRegOptions
from burn_tf.recipes.small import CIFAR10

RECIPE = dataclasses.replace(
    CIFAR10,
    name="vicreg_cifar10",
    method=VICRegOptions(hidden_dim=512, embedding_dim=512),
)
