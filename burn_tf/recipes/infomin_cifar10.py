"""InfoMin (with its jigsaw branch) on CIFAR-10 (32 px): a binary network in two stages.

Source: Tian et al., NeurIPS 2020, sec. 4; sizes, rate and length are ours, for CPUs. A third view
    is cut into pieces of 8 px; queue and decay as in `moco_v2_cifar10`; the augmentation is that of
    the other cifar10 recipes, not InfoMin's.
Expected: not reported for this network and length.
"""

import dataclasses

from burn_tf.recipes.options import InfoMinOptions
from burn_tf.recipes.small import CIFAR10

RECIPE = dataclasses.replace(
    CIFAR10,
    name="infomin_cifar10",
    method=InfoMinOptions(hidden_dim=512, queue_size=4096, ema_decay=0.99),
    views=dataclasses.replace(CIFAR10.views, num_views=3),
)
