"""W-MSE with 4 views on ImageNet with a ResNet-50.

Source: Ermolov et al., ICML 2021, sec. 4, and the authors' code for ImageNet-100: Adam 2e-3, 500
    updates of warm-up, batch 256, embeddings of 128 whitened 256 at a time, hidden layer of 1024, 4
    views. The paper's settings for ImageNet could not be established but for its 400 epochs.
Departs from source: the rate falls along a cosine, not in two steps at the end; no decay
    (1e-6 there).
Command: burn-tf pretrain --recipe wmse_imagenet --data tfds:imagenet2012 --workdir DIR
Expected: reported by the authors: 72.56 % linear top-1, ResNet-50, 400 epochs. Not run by us.
"""

from burn_tf.recipes.base import Optimizer, Views
from burn_tf.recipes.imagenet import imagenet_recipe
from burn_tf.recipes.options import WMSEOptions

RECIPE = imagenet_recipe(
    "wmse_imagenet",
    WMSEOptions(hidden_dim=1024, embedding_dim=128, slice_size=256),
    Views(policy="wmse", num_views=4, image_size=224),
    Optimizer("adam", learning_rate=2e-3, warmup_epochs=0.1),
    batch_size=256,
    epochs=400,
)
