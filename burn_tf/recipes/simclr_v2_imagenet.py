"""SimCLR v2 on ImageNet with a ResNet-50.

Source: Chen et al., NeurIPS 2020, sec. 3.1: LARS with rate 0.1 x sqrt(batch) = 6.4, warm-up for 5 %
    of the updates, weight decay 1e-4, batch 4096, 800 epochs, T = 0.1, three layers.
Departs from source: no memory of momentum features.
Command: burn-tf pretrain --recipe simclr_v2_imagenet --data tfds:imagenet2012 --workdir DIR
Expected: reported by the authors: 71.7 % linear top-1, ResNet-50 without selective kernels, 800
    epochs. Not run by us.
"""

from burn_tf.recipes.base import Optimizer, Views
from burn_tf.recipes.imagenet import imagenet_recipe
from burn_tf.recipes.options import SimCLRV2Options

RECIPE = imagenet_recipe(
    "simclr_v2_imagenet",
    SimCLRV2Options(hidden_dim=2048, embedding_dim=128, temperature=0.1),
    Views(policy="simclr", num_views=2, image_size=224),
    Optimizer("lars", learning_rate=6.4, warmup_epochs=40, weight_decay=1e-4),
    batch_size=4096,
    epochs=800,
)
