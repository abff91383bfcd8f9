"""SimCLR v2 on scikit-learn's digits: a binary network in two stages.

Source: Chen et al., NeurIPS 2020, sec. 2 and eq. 1; sizes, rate and length are ours, for two CPU
    cores. T = 0.5 is that of the authors' runs on CIFAR-10 (SimCLR, arXiv 2002.05709, appendix
    B.9).
Expected: not reported for this network and length.
"""

import dataclasses

from burn_tf.recipes.options import SimCLRV2Options
from burn_tf.recipes.small import DIGITS

RECIPE = dataclasses.replace(
    DIGITS,
    name="simclr_v2_digits",
    method=SimCLRV2Options(hidden_dim=256, embedding_dim=64, temperature=0.5),
)
