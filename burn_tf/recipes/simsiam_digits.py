"""SimSiam on scikit-learn's digits: a binary network in two stages.

Source: Chen & He, CVPR 2021, sec. 3; sizes, rate and length are ours, for two CPU cores. A
    predictor of a quarter of the embedding, as in the paper.
Expected: not reported for this network and length.
"""

import dataclasses

from burn_tf.recipes.options import SimSiamOptions
from burn_tf.recipes.small import DIGITS

RECIPE = dataclasses.replace(
    DIGITS,
    name="simsiam_digits",
    method=SimSiamOptions(hidden_dim=256, embedding_dim=256, predictor_dim=64),
)
