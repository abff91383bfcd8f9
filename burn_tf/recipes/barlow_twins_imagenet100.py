"""Barlow Twins on ImageNet-100 with a ResNet-18.

Source: Zbontar et al., ICML 2021, as `barlow_twins_imagenet`.
Departs from source: ResNet-18 and three layers of 2048, batch 512 and 200 epochs are ours, as in
    `msbreg_imagenet100`; biases and norms keep their share of the rate.
Command: burn-tf pretrain --recipe barlow_twins_imagenet100 --data DIR --workdir DIR
Expected: not reported for this data. Not run by us.
"""

import dataclasses

from burn_tf.recipes import barlow_twins_imagenet
from burn_tf.recipes.imagenet import RESNET18
from burn_tf.recipes.options import BarlowTwinsOptions

RECIPE = dataclasses.replace(
    barlow_twins_imagenet.RECIPE,
    name="barlow_twins_imagenet100",
    backbone=RESNET18,
    batch_size=512,
    epochs=200,
    method=BarlowTwinsOptions(hidden_dim=2048, embedding_dim=2048),
)
