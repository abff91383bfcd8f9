"""BYOL on CIFAR-10 (32 px): a binary network in two stages.

Source: Grill et al., NeurIPS 2020, eqs. 2 and 3; sizes, rate and length are ours, for CPUs.
Expected: not reported for this network and length.
"""

import dataclasses

from burn_tf.recipes.options import BYOLOptions
from burn_tf.recipes.small import CIFAR10

RECIPE = dataclasses.replace(
    CIFAR10,
    name="byol_cifar10",
    method=BYOLOptions(hidden_dim=512, embedding_dim=128),
)
