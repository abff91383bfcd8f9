"""SwAV with multi-crop (2 x 224 px and 6 x 96 px) on ImageNet with a ResNet-50.

Source: Caron et al., NeurIPS 2020, appendix A, and the authors' scripts: LARS with rate 4.8, 10
    epochs of warm-up, weight decay 1e-6, batch 4096, 800 epochs, 3000 prototypes that stay as they
    are for 313 updates, no queue.
Departs from source: LARS leaves biases and norms as they are; the rate falls to 0, not to 0.0048,
    and starts from 0, not from 0.3.
Command: burn-tf pretrain --recipe swav_imagenet --data tfds:imagenet2012 --workdir DIR
Binary: --set backbone.name=reactnet_a --set stages=activations,both
Expected: reported by the authors: 75.3 % linear top-1, ResNet-50, 800 epochs (70.1 % without small
    crops, 400 epochs); by those of BURN, with settings of their own: 49.41 %, ReActNet-A. Not run
    by us.
"""

from burn_tf.recipes.base import Optimizer, Views
from burn_tf.recipes.imagenet import imagenet_recipe
from burn_tf.recipes.options import SwAVOptions

RECIPE = imagenet_recipe(
    "swav_imagenet",
    SwAVOptions(hidden_dim=2048, embedding_dim=128, num_prototypes=3000, frozen_steps=313),
    Views(policy="multicrop_global", num_views=2, image_size=224, local_views=6, local_size=96),
    Optimizer("lars", learning_rate=4.8, warmup_epochs=10, weight_decay=1e-6),
    batch_size=4096,
    epochs=800,
)
