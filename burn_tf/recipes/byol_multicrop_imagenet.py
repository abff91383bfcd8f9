"""BYOL with multi-crop (2 x 224 px and 6 x 96 px) on ImageNet with a ResNet-50.

Source: Grill et al., NeurIPS 2020, appendix, for 300 epochs (rate 0.3 x batch / 256, weight decay
    1e-6, decay of the average from 0.99); views of Caron et al., SwAV, NeurIPS 2020, appendix A.
Departs from source: neither paper trains BYOL on such views; that the large ones alone teach is
    ours, and so is the length.
Command: burn-tf pretrain --recipe byol_multicrop_imagenet --data tfds:imagenet2012 --workdir DIR
Expected: no figure could be established: BYOL's and SwAV's papers have none. Not run by us.
"""

from burn_tf.recipes.base import Views
from burn_tf.recipes.imagenet import imagenet_recipe, lars
from burn_tf.recipes.options import BYOLOptions

_VIEWS = Views(policy="multicrop_global", num_views=2, image_size=224, local_views=6, local_size=96)
RECIPE = imagenet_recipe(
    "byol_multicrop_imagenet",
    BYOLOptions(hidden_dim=4096, embedding_dim=256, ema_base=0.99),
    _VIEWS,
    lars(0.3, _VIEWS, weight_decay=1e-6),
    batch_size=4096,
    epochs=300,
)
