"""SimSiam on CIFAR-10 (32 px): a binary network in two stages.

Source: Chen & He, CVPR 2021, sec. 3; sizes, rate and length are ours, for CPUs. A predictor of a
    quarter of the embedding, as in the paper.
Expected: not reported for this network and length.
"""

import dataclasses

from burn_tf.recipes.options import SimSiamOptions
from burn_tf.recipes.small import CIFAR10

RECIPE = dataclasses.replace(
    CIFAR10,
    name="simsiam_cifar10",
    method=SimSiamOptions(hidden_dim=512, embedding_dim=512, predictor_dim=128),
)
