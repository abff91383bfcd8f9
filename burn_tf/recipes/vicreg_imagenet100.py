"""VICReg on ImageNet-100 with a ResNet-18.

Source: Bardes et al., ICLR 2022, as `vicreg_imagenet`.
Departs from source: ResNet-18 and three layers of 2048, batch 512 and 200 epochs are ours, as in
    `msbreg_imagenet100`.
Command: burn-tf pretrain --recipe vicreg_imagenet100 --data DIR --workdir DIR
Expected: not reported for this data. Not run by us.
"""

import dataclasses

from burn_tf.recipes import vicreg_imagenet
from burn_tf.recipes.imagenet import RESNET18
from burn_tf.recipes.options import VICRegOptions

RECIPE = dataclasses.replace(
    vicreg_imagenet.RECIPE,
    name="vicreg_imagenet100",
    backbone=RESNET18,
    batch_size=512,
    epochs=200,
    method=VICRegOptions(hidden_dim=2048, embedding_dim=2048),
)
