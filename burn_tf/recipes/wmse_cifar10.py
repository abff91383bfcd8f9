"""W-MSE on CIFAR-10 (32 px): a binary network in two stages.

Source: Ermolov et al., ICML 2021, sec. 3; sizes, rate and length are ours, for CPUs. A batch of
    twice the embedding's size is whitened, as in the paper.
Expected: not reported for this network and length.
"""

import dataclasses

from burn_tf.recipes.options import WMSEOptions
from burn_tf.recipes.small import CIFAR10

RECIPE = dataclasses.replace(
    CIFAR10,
    name="wmse_cifar10",
    method=WMSEOptions(hidden_dim=512, embedding_dim=64),
)
