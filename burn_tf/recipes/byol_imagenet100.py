"""BYOL on ImageNet-100 with a ResNet-18.

Source: Grill et al., NeurIPS 2020, as `byol_imagenet`; decay of the average from 0.99, as the paper
    has it for 300 epochs.
Departs from source: ResNet-18 and its heads, batch 512 (4096 would be 30 updates an epoch) and 200
    epochs are ours, as in `msbreg_imagenet100`.
Command: burn-tf pretrain --recipe byol_imagenet100 --data DIR --workdir DIR
Expected: not reported for this data. Not run by us.
"""

import dataclasses

from burn_tf.recipes import byol_imagenet
from burn_tf.recipes.imagenet import RESNET18
from burn_tf.recipes.options import BYOLOptions

RECIPE = dataclasses.replace(
    byol_imagenet.RECIPE,
    name="byol_imagenet100",
    backbone=RESNET18,
    batch_size=512,
    epochs=200,
    method=BYOLOptions(hidden_dim=512, embedding_dim=128, ema_base=0.99),
)
