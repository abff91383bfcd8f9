"""MoCo v2 on scikit-learn's digits: a binary network in two stages.

Source: Chen et al., arXiv 2003.04297; sizes, rate and length are ours, for two CPU cores. A queue
    of 512 keys; a decay of 0.99, since 0.999 would keep the key network close to its first weights
    for the whole of so short a run.
Expected: not reported for this network and length.
"""

import dataclasses

from burn_tf.recipes.options import MoCoV2Options
from burn_tf.recipes.small import DIGITS

RECIPE = dataclasses.replace(
    DIGITS,
    name="moco_v2_digits",
    method=MoCoV2Options(hidden_dim=256, embedding_dim=64, queue_size=512, ema_decay=0.99),
)
