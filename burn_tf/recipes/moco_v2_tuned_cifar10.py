"""MoCo v2 as S2-BNN tuned it, on CIFAR-10 (32 px): a binary network in two stages.

Source: Shen et al., CVPR 2021; sizes, rate and length are ours, for CPUs. S2-BNN's Adam 3e-4
    without warm-up or decay, in batches of 256.
Expected: not reported for this network and length.
"""

import dataclasses

from burn_tf.recipes.base import Optimizer
from burn_tf.recipes.options import MoCoV2Options
from burn_tf.recipes.small import CIFAR10

RECIPE = dataclasses.replace(
    CIFAR10,
    name="moco_v2_tuned_cifar10",
    method=MoCoV2Options(hidden_dim=512, queue_size=4096, ema_decay=0.99),
    optimizer=Optimizer("adam", learning_rate=3e-4),
    batch_size=256,
)
