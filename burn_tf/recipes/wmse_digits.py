"""W-MSE on scikit-learn's digits: a binary network in two stages.

Source: Ermolov et al., ICML 2021, sec. 3; sizes, rate and length are ours, for two CPU cores. A
    batch of twice the embedding's size is whitened, as in the paper.
Expected: not reported for this network and length.
"""

import dataclasses

from burn_tf.recipes.options import WMSEOptions
from burn_tf.recipes.small import DIGITS

RECIPE = dataclasses.replace(
    DIGITS,
    name="wmse_digits",
    method=WMSEOptions(hidden_dim=256, embedding_dim=32),
)
