"""MoCo v2 as S2-BNN tuned it: ImageNet, ReActNet-A, two stages.

Source: Shen et al., S2-BNN, CVPR 2021, Table 1, and the authors' code: Adam 3e-4, batch 256, 200
    epochs a stage, T = 0.2, 65,536 keys, a hidden layer of the backbone's size.
Departs from source: the authors' code lets the rate fall linearly (here along a cosine, as its flag
    is called). The code's decay of 1e-4 within Adam's gradient is left out; convolutions pad with
    +1.
Command: burn-tf pretrain --recipe moco_v2_tuned_imagenet --data tfds:imagenet2012 --workdir DIR
Expected: reported by the authors: 52.5 % linear top-1, ReActNet-A, 200 epochs a stage (46.9 %
    before tuning). Not run by us.
"""

from burn_tf.recipes.base import Optimizer, Views
from burn_tf.recipes.imagenet import imagenet_recipe
from burn_tf.recipes.options import MoCoV2Options

RECIPE = imagenet_recipe(
    "moco_v2_tuned_imagenet",
    MoCoV2Options(hidden_dim=1024, embedding_dim=128, temperature=0.2, queue_size=65_536),
    Views(policy="s2bnn", num_views=2, image_size=224),
    Optimizer("adam", learning_rate=3e-4),
    batch_size=256,
    epochs=200,
    binary=True,
)
