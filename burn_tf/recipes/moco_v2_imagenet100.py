"""MoCo v2 on ImageNet-100 with a ResNet-18.

Source: Chen et al., arXiv 2003.04297, as `moco_v2_imagenet`.
Departs from source: 16,384 keys, an eighth of the images, are ours; ResNet-18 and 200 epochs are
    ours, as in `msbreg_imagenet100`.
Command: burn-tf pretrain --recipe moco_v2_imagenet100 --data DIR --workdir DIR
Expected: not reported for this data. Not run by us.
"""

import dataclasses

from burn_tf.recipes import moco_v2_imagenet
from burn_tf.recipes.imagenet import RESNET18
from burn_tf.recipes.options import MoCoV2Options

RECIPE = dataclasses.replace(
    moco_v2_imagenet.RECIPE,
    name="moco_v2_imagenet100",
    backbone=RESNET18,
    epochs=200,
    method=MoCoV2Options(hidden_dim=512, queue_size=16_384),
)
