"""MoCo v2 on CIFAR-10 (32 px): a binary network in two stages.

Source: Chen et al., arXiv 2003.04297; sizes, rate and length are ours, for CPUs. A queue of 4096
    keys; a decay of 0.99, since 0.999 would keep the key network close to its first weights for the
    whole of so short a run.
Expected: not reported for this network and length.
"""

import dataclasses

from burn_tf.recipes.options import MoCoV2Options
from burn_tf.recipes.small import CIFAR10

RECIPE = dataclasses.replace(
    CIFAR10,
    name="moco_v2_cifar10",
    method=MoCoV2Options(hidden_dim=512, queue_size=4096, ema_decay=0.99),
)
