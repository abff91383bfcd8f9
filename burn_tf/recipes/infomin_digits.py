"""InfoMin (with its jigsaw branch) on scikit-learn's digits: a binary network in two stages.

Source: Tian et al., NeurIPS 2020, sec. 4; sizes, rate and length are ours, for two CPU cores. A
    third view is cut into pieces of 4 px; queue and decay as in `moco_v2_digits`; the augmentation
    is that of the other digits recipes, not InfoMin's.
Expected: not reported for this network and length.
"""

import dataclasses

from burn_tf.recipes.options import InfoMinOptions
from burn_tf.recipes.small import DIGITS

RECIPE = dataclasses.replace(
    DIGITS,
    name="infomin_digits",
    method=InfoMinOptions(hidden_dim=256, embedding_dim=64, queue_size=512, ema_decay=0.99),
    views=dataclasses.replace(DIGITS.views, num_views=3),
)
