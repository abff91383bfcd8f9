"""MoCo v2 as S2-BNN tuned it, on scikit-learn's digits: a binary network in two stages.

Source: Shen et al., CVPR 2021; sizes, rate and length are ours, for two CPU cores. Of S2-BNN's
    settings it has Adam without warm-up or decay, at 1e-3: a run of a few hundred updates would not
    get far with 3e-4.
Expected: not reported for this network and length.
"""

import dataclasses

from burn_tf.recipes.base import Optimizer
from burn_tf.recipes.options import MoCoV2Options
from burn_tf.recipes.small import DIGITS

RECIPE = dataclasses.replace(
    DIGITS,
    name="moco_v2_tuned_digits",
    method=MoCoV2Options(hidden_dim=256, embedding_dim=64, queue_size=512, ema_decay=0.99),
    optimizer=Optimizer("adam", learning_rate=1e-3),
)
