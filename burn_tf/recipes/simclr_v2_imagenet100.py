"""SimCLR v2 on ImageNet-100 with a ResNet-18.

Source: Chen et al., NeurIPS 2020, as `simclr_v2_imagenet`: rate 0.1 x sqrt(batch), warm-up for 5 %
    of the updates.
Departs from source: ResNet-18 and its head, batch 512 and 200 epochs are ours, as in
    `msbreg_imagenet100`.
Command: burn-tf pretrain --recipe simclr_v2_imagenet100 --data DIR --workdir DIR
Expected: not reported for this data. Not run by us.
"""

import dataclasses

from burn_tf.recipes import simclr_v2_imagenet
from burn_tf.recipes.base import Optimizer
from burn_tf.recipes.imagenet import RESNET18
from burn_tf.recipes.options import SimCLRV2Options

RECIPE = dataclasses.replace(
    simclr_v2_imagenet.RECIPE,
    name="simclr_v2_imagenet100",
    backbone=RESNET18,
    batch_size=512,
    epochs=200,
    optimizer=Optimizer("lars", learning_rate=0.1 * 512**0.5, warmup_epochs=10, weight_decay=1e-4),
    method=SimCLRV2Options(hidden_dim=512),
)
