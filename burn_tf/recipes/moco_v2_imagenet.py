"""MoCo v2 on ImageNet with a ResNet-50.

Source: Chen et al., arXiv 2003.04297, and the authors' code: SGD with rate 0.03 x batch / 256 and
    weight decay 1e-4, cosine decay without warm-up, batch 256, 800 epochs, T = 0.2, 65,536 keys.
Departs from source: batch norms as in `burn_tf.methods.MoCoV2`; decay goes past the momentum, see
    `burn_tf.recipes.imagenet.sgd`.
Command: burn-tf pretrain --recipe moco_v2_imagenet --data tfds:imagenet2012 --workdir DIR
Expected: reported by the authors: 71.1 % linear top-1, ResNet-50, 800 epochs (67.5 % after 200).
    Not run by us.
"""

from burn_tf.recipes.base import Views
from burn_tf.recipes.imagenet import imagenet_recipe, sgd
from burn_tf.recipes.options import MoCoV2Options

_VIEWS = Views(policy="moco_v2", num_views=2, image_size=224)
RECIPE = imagenet_recipe(
    "moco_v2_imagenet",
    MoCoV2Options(hidden_dim=2048, embedding_dim=128, temperature=0.2, queue_size=65_536),
    _VIEWS,
    sgd(0.03, _VIEWS, weight_decay=1e-4),
    batch_size=256,
    epochs=800,
)
