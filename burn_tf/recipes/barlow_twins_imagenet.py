"""Barlow Twins on ImageNet with a ResNet-50.

Source: Zbontar et al., ICML 2021, sec. 2.2: LARS with rate 0.2 x batch / 256, 10 epochs of warm-up,
    weight decay 1.5e-6, batch 2048, 1000 epochs, lambda 5e-3, three layers of 8192, views of BYOL.
    Biases and norms have 0.0048 x batch / 256.
Departs from source: the rate falls to 0, not to a thousandth.
Command: burn-tf pretrain --recipe barlow_twins_imagenet --data tfds:imagenet2012 --workdir DIR
Expected: reported by the authors: 73.2 % linear top-1, ResNet-50, 1000 epochs. Not run by us.
"""

import dataclasses

from burn_tf.recipes.base import Views
from burn_tf.recipes.imagenet import imagenet_recipe, lars
from burn_tf.recipes.options import BarlowTwinsOptions

_VIEWS = Views(policy="byol_1,byol_2", num_views=2, image_size=224)
RECIPE = imagenet_recipe(
    "barlow_twins_imagenet",
    BarlowTwinsOptions(hidden_dim=8192, embedding_dim=8192, redundancy_weight=5e-3),
    _VIEWS,
    dataclasses.replace(lars(0.2, _VIEWS, weight_decay=1.5e-6), exempt_rate=0.0048 / 0.2),
    batch_size=2048,
    epochs=1000,
)
