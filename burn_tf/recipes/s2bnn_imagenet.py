"""S2-BNN (distillation) on ImageNet: ReActNet-A in two stages.

Source: Shen et al., CVPR 2021, sec. 3 and Table 1, and the authors' code: a MoCo v2 ResNet-50 with
    its head as teacher, Adam 3e-4 without decay, batch 256, 200 epochs a stage, T = 0.2, one view.
Departs from source: the authors' code lets the rate fall linearly (here along a cosine, as its flag
    is called). Convolutions pad with +1.
Command: burn-tf pretrain --recipe s2bnn_imagenet --data tfds:imagenet2012 --workdir DIR
    --set teacher.weights=FILE.keras --set teacher.head=FILE.keras
Expected: reported by the authors: 61.5 % linear top-1, ReActNet-A, 200 epochs a stage (56.0 % with
    mode=both). Not run by us.
"""

from burn_tf.recipes.base import Optimizer, Teacher, Views
from burn_tf.recipes.imagenet import imagenet_recipe
from burn_tf.recipes.options import S2BNNOptions

RECIPE = imagenet_recipe(
    "s2bnn_imagenet",
    S2BNNOptions(mode="distillation", hidden_dim=1024, temperature=0.2),
    Views(policy="s2bnn", num_views=1, image_size=224),
    Optimizer("adam", learning_rate=3e-4),
    batch_size=256,
    epochs=200,
    teacher=Teacher(),
    binary=True,
)
