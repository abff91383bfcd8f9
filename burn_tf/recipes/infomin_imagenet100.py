"""InfoMin on ImageNet-100 with a ResNet-18, with its jigsaw branch.

Source: Tian et al., NeurIPS 2020, as `infomin_imagenet`.
Departs from source: 16,384 keys, an eighth of the images, are ours; ResNet-18 and 200 epochs are
    ours, as in `msbreg_imagenet100`.
Command: burn-tf pretrain --recipe infomin_imagenet100 --data DIR --workdir DIR
Expected: not reported for this data. Not run by us.
"""

import dataclasses

from burn_tf.recipes import infomin_imagenet
from burn_tf.recipes.imagenet import RESNET18
from burn_tf.recipes.options import InfoMinOptions

RECIPE = dataclasses.replace(
    infomin_imagenet.RECIPE,
    name="infomin_imagenet100",
    backbone=RESNET18,
    epochs=200,
    method=InfoMinOptions(hidden_dim=512, queue_size=16_384),
)
