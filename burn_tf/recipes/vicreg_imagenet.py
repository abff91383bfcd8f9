"""VICReg on ImageNet with a ResNet-50.

Source: Bardes et al., ICLR 2022, sec. 4.2: LARS with rate 0.2 x batch / 256, 10 epochs of warm-up,
    weight decay 1e-6, batch 2048, 1000 epochs, weights 25, 25 and 1, three layers of 8192.
    The authors' code halves the variance term: --set method.variance_weight=12.5.
Departs from source: the rate falls to 0, not to 0.002.
Command: burn-tf pretrain --recipe vicreg_imagenet --data tfds:imagenet2012 --workdir DIR
Expected: reported by the authors: 73.2 % linear top-1, ResNet-50, 1000 epochs. Not run by us.
"""

from burn_tf.recipes.base import Views
from burn_tf.recipes.imagenet import imagenet_recipe, lars
from burn_tf.recipes.options import VICRegOptions

_VIEWS = Views(policy="vicreg", num_views=2, image_size=224)
RECIPE = imagenet_recipe(
    "vicreg_imagenet",
    VICRegOptions(hidden_dim=8192, embedding_dim=8192),
    _VIEWS,
    lars(0.2, _VIEWS, weight_decay=1e-6),
    batch_size=2048,
    epochs=1000,
)
