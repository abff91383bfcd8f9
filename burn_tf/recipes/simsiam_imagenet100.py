"""SimSiam on ImageNet-100 with a ResNet-18.

Source: Chen & He, CVPR 2021, as `simsiam_imagenet`.
Departs from source: ResNet-18 and 200 epochs are ours, as in `msbreg_imagenet100`.
Command: burn-tf pretrain --recipe simsiam_imagenet100 --data DIR --workdir DIR
Expected: not reported for this data. Not run by us.
"""

import dataclasses

from burn_tf.recipes import simsiam_imagenet
from burn_tf.recipes.imagenet import RESNET18

RECIPE = dataclasses.replace(
    simsiam_imagenet.RECIPE,
    name="simsiam_imagenet100",
    backbone=RESNET18,
    epochs=200,
)
