"""S2-BNN (distillation) on scikit-learn's digits: a binary network in two stages.

Source: Shen et al., CVPR 2021, sec. 3; sizes, rate and length are ours, for two CPU cores. The
    teacher and its head come from `msbreg_digits`, which runs first.
Expected: not reported for this network and length.
"""

import dataclasses

from burn_tf.recipes.base import Teacher
from burn_tf.recipes.options import S2BNNOptions
from burn_tf.recipes.small import DIGITS

RECIPE = dataclasses.replace(
    DIGITS,
    name="s2bnn_digits",
    method=S2BNNOptions(hidden_dim=256),
    views=dataclasses.replace(DIGITS.views, num_views=1),
    teacher=Teacher(recipe="msbreg_digits"),
)
