"""W-MSE with 4 views on ImageNet-100 with a ResNet-18.

Source: Ermolov et al., ICML 2021, sec. 4, and the authors' code: Adam 2e-3, 500 updates of warm-up,
    batch 256, embeddings of 128 whitened 256 at a time, hidden layer of 1024, 4 views, 240 epochs.
Departs from source: the rate falls along a cosine, not in two steps at the end; no decay
    (1e-6 there).
Command: burn-tf pretrain --recipe wmse_imagenet100 --data DIR --workdir DIR
Expected: reported by the authors: 79.02 % linear top-1, ResNet-18, 240 epochs. Not run by us.
"""

import dataclasses

from burn_tf.recipes import wmse_imagenet
from burn_tf.recipes.base import Optimizer
from burn_tf.recipes.imagenet import RESNET18

RECIPE = dataclasses.replace(
    wmse_imagenet.RECIPE,
    name="wmse_imagenet100",
    backbone=RESNET18,
    optimizer=Optimizer("adam", learning_rate=2e-3, warmup_epochs=1),
    epochs=240,
)
