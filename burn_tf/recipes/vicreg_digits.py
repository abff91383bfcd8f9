"""VICReg on scikit-learn's digits: a binary network in two stages.

Source: Bardes et al., ICLR 2022, eqs. 1 to 6; sizes, rate and length are ours, for two CPU cores.
Expected: not reported for this network and length.
"""

import dataclasses

from burn_tf.recipes.options import VICRegOptions
from burn_tf.recipes.small import DIGITS

RECIPE = dataclasses.replace(
    DIGITS,
    name="vicreg_digits",
    method=VICRegOptions(hidden_dim=256, embedding_dim=128),
)
