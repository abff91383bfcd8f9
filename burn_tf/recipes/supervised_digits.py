"""Supervised pretraining with labels on scikit-learn's digits: a binary network in two stages.

Source: Liu et al., ReActNet, ECCV 2020, sec. 4.3; sizes, rate and length are ours, for two CPU
    cores. One view with the augmentation of the other digits recipes; labels in place of the
    paper's float classifier.
Expected: not reported for this network and length.
"""

import dataclasses

from burn_tf.recipes.options import SupervisedOptions
from burn_tf.recipes.small import DIGITS

RECIPE = dataclasses.replace(
    DIGITS,
    name="supervised_digits",
    method=SupervisedOptions(),
    views=dataclasses.replace(DIGITS.views, num_views=1),
)
