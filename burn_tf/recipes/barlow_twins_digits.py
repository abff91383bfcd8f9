"""Barlow Twins on scikit-learn's digits: a binary network in two stages.

Source: Zbontar et al., ICML 2021, eqs. 1 and 2; sizes, rate and length are ours, for two CPU cores.
Expected: not reported for this network and length.
"""

import dataclasses

from burn_tf.recipes.options import BarlowTwinsOptions
from burn_tf.recipes.small import DIGITS

RECIPE = dataclasses.replace(
    DIGITS,
    name="barlow_twins_digits",
    method=BarlowTwinsOptions(hidden_dim=256, embedding_dim=128),
)
