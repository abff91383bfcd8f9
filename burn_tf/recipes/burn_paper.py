"""BURN as its paper describes it: ImageNet, ReActNet-A, a MoCo v2 ResNet-50 as teacher.

Source: Kim & Choi, CVPR 2022, sec. 4 and supplement (LARS, batch 2048, rate 0.3, 200 epochs per
    stage, one view). The paper does not print warm-up, weight decay and the classifiers' size: 10
    epochs and 2000 outputs are those of the authors' code, 1e-5 is ours.
Command: burn-tf pretrain --recipe burn_paper --data tfds:imagenet2012 --workdir DIR
    --set teacher.weights=FILE.keras
Expected: 62.29 % linear top-1, reported by the authors. Not run by us.
"""

from burn_tf.recipes.base import Network, Optimizer, Recipe, Teacher, Views
from burn_tf.recipes.options import BURNOptions

RECIPE = Recipe(
    name="burn_paper",
    method=BURNOptions(),
    backbone=Network("reactnet_a"),
    views=Views(policy="burn_paper", num_views=1, image_size=224),
    optimizer=Optimizer("lars", learning_rate=0.3, warmup_epochs=10, weight_decay=1e-5),
    batch_size=2048,
    epochs=200,
    stages=("activations", "both"),
    teacher=Teacher(),
    precision="mixed_bfloat16",
)
