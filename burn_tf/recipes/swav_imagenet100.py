"""SwAV with multi-crop (2 x 224 px and 6 x 96 px) on ImageNet-100 with a ResNet-18.

Source: Caron et al., NeurIPS 2020, and the authors' script for batch 256: LARS with rate 0.6
    without warm-up, weight decay 1e-6, 3840 earlier embeddings from epoch 15 on, prototypes that
    stay as they are for the first epoch (of 494 updates here).
Departs from source: ResNet-18 and 200 epochs are ours, as in `msbreg_imagenet100`; as
    `swav_imagenet` besides.
Command: burn-tf pretrain --recipe swav_imagenet100 --data DIR --workdir DIR
Expected: not reported for this data. Not run by us.
"""

import dataclasses

from burn_tf.recipes import swav_imagenet
from burn_tf.recipes.base import Optimizer
from burn_tf.recipes.imagenet import RESNET18
from burn_tf.recipes.options import SwAVOptions

# Updates: 126,689 images in batches of 256.
_EPOCH = 494
RECIPE = dataclasses.replace(
    swav_imagenet.RECIPE,
    name="swav_imagenet100",
    backbone=RESNET18,
    batch_size=256,
    epochs=200,
    optimizer=Optimizer("lars", learning_rate=0.6, weight_decay=1e-6),
    method=SwAVOptions(
        hidden_dim=512,
        queue_size=3840,
        queue_start=15 * _EPOCH,
        frozen_steps=_EPOCH,
    ),
)
