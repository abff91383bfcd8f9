"""SimCLR v2 on CIFAR-10 (32 px): a binary network in two stages.

Source: Chen et al., NeurIPS 2020, sec. 2 and eq. 1; sizes, rate and length are ours, for CPUs. T =
    0.5 is that of the authors' runs on CIFAR-10 (SimCLR, arXiv 2002.05709, appendix B.9).
Expected: not reported for this network and length.
"""

import dataclasses

from burn_tf.recipes.options import SimCLRV2Options
from burn_tf.recipes.small import CIFAR10

RECIPE = dataclasses.replace(
    CIFAR10,
    name="simclr_v2_cifar10",
    method=SimCLRV2Options(hidden_dim=512, temperature=0.5),
)
