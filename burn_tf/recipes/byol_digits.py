"""BYOL on scikit-learn's digits: a binary network in two stages.

Source: Grill et al., NeurIPS 2020, eqs. 2 and 3; sizes, rate and length are ours, for two CPU
    cores.
Expected: not reported for this network and length.
"""

import dataclasses

from burn_tf.recipes.options import BYOLOptions
from burn_tf.recipes.small import DIGITS

RECIPE = dataclasses.replace(
    DIGITS,
    name="byol_digits",
    method=BYOLOptions(hidden_dim=256, embedding_dim=64),
)
