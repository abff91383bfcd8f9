"""InfoMin on ImageNet with a ResNet-50, with its jigsaw branch.

Source: Tian et al., NeurIPS 2020, sec. 4 and appendix, and the authors' code: SGD with rate 0.03 x
    batch / 256 and weight decay 1e-4, cosine decay, batch 256, 800 epochs, T = 0.15, 65,536 keys,
    half of the loss for the puzzle, which is cut from a large crop in its own colours.
Departs from source: batch norms as in `burn_tf.methods.MoCoV2`; RandAugment as in
    `burn_tf.data.rand_augment`; the puzzle is cut from a view of 224 px in pieces of 56, not from
    255 px in pieces of 64; the rate falls to 0, not to a thousandth; decay goes past the momentum,
    see `burn_tf.recipes.imagenet.sgd`.
Command: burn-tf pretrain --recipe infomin_imagenet --data tfds:imagenet2012 --workdir DIR
Expected: reported by the authors: 73.0 % linear top-1, ResNet-50, 800 epochs (70.1 % after 200).
    Not run by us.
"""

from burn_tf.recipes.base import Views
from burn_tf.recipes.imagenet import imagenet_recipe, sgd
from burn_tf.recipes.options import InfoMinOptions

_VIEWS = Views(policy="infomin,infomin,infomin_jigsaw", num_views=3, image_size=224)
RECIPE = imagenet_recipe(
    "infomin_imagenet",
    InfoMinOptions(hidden_dim=2048, embedding_dim=128, temperature=0.15, queue_size=65_536),
    _VIEWS,
    sgd(0.03, _VIEWS, weight_decay=1e-4),
    batch_size=256,
    epochs=800,
)
