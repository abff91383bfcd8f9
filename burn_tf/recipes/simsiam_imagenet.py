"""SimSiam on ImageNet with a ResNet-50.

Source: Chen & He, CVPR 2021, sec. 3 and Table 4: SGD with rate 0.05 x batch / 256 and weight decay
    1e-4, cosine decay without warm-up (the predictor keeps its rate), batch 256, 800 epochs, views
    of MoCo v2, heads of 2048 and a predictor of 512.
Departs from source: decay goes past the momentum, see `burn_tf.recipes.imagenet.sgd`.
Command: burn-tf pretrain --recipe simsiam_imagenet --data tfds:imagenet2012 --workdir DIR
Expected: reported by the authors: 71.3 % linear top-1, ResNet-50, 800 epochs (68.1 % after 100).
    Not run by us.
"""

import dataclasses

from burn_tf.recipes.base import Views
from burn_tf.recipes.imagenet import imagenet_recipe, sgd
from burn_tf.recipes.options import SimSiamOptions

_VIEWS = Views(policy="moco_v2", num_views=2, image_size=224)
RECIPE = imagenet_recipe(
    "simsiam_imagenet",
    SimSiamOptions(hidden_dim=2048, embedding_dim=2048, predictor_dim=512),
    _VIEWS,
    dataclasses.replace(sgd(0.05, _VIEWS, weight_decay=1e-4), steady_predictor=True),
    batch_size=256,
    epochs=800,
)
