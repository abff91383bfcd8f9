"""S2-BNN (distillation) on CIFAR-10 (32 px): a binary network in two stages.

Source: Shen et al., CVPR 2021, sec. 3; sizes, rate and length are ours, for CPUs. The teacher and
    its head come from `msbreg_cifar10`, which runs first.
Expected: not reported for this network and length.
"""

import dataclasses

from burn_tf.recipes.base import Teacher
from burn_tf.recipes.options import S2BNNOptions
from burn_tf.recipes.small import CIFAR10

RECIPE = dataclasses.replace(
    CIFAR10,
    name="s2bnn_cifar10",
    method=S2BNNOptions(hidden_dim=512),
    views=dataclasses.replace(CIFAR10.views, num_views=1),
    teacher=Teacher(recipe="msbreg_cifar10"),
)
