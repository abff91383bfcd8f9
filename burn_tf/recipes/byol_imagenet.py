"""BYOL on ImageNet with a ResNet-50.

Source: Grill et al., NeurIPS 2020, sec. 3.3: LARS with rate 0.2 x batch / 256, 10 epochs of warm-
    up, weight decay 1.5e-6, batch 4096, 1000 epochs, decay of the average from 0.996, heads of 4096
    and 256.
Departs from source: the average corrects its bias.
Command: burn-tf pretrain --recipe byol_imagenet --data tfds:imagenet2012 --workdir DIR
Binary: --set backbone.name=reactnet_a --set stages=activations,both
Expected: reported by the authors: 74.3 % linear top-1, ResNet-50, 1000 epochs; by those of BURN,
    with settings of their own: 49.25 %, ReActNet-A. Not run by us.
"""

from burn_tf.recipes.base import Views
from burn_tf.recipes.imagenet import imagenet_recipe, lars
from burn_tf.recipes.options import BYOLOptions

_VIEWS = Views(policy="byol_1,byol_2", num_views=2, image_size=224)
RECIPE = imagenet_recipe(
    "byol_imagenet",
    BYOLOptions(hidden_dim=4096, embedding_dim=256, ema_base=0.996),
    _VIEWS,
    lars(0.2, _VIEWS, weight_decay=1.5e-6),
    batch_size=4096,
    epochs=1000,
)
