"""MSBReg on ImageNet with a ResNet-50.

Source: Moon et al., arXiv 2207.03552: LARS with base rate 0.15, 10 epochs of warm-up, weight decay
    1e-5, heads of 2048 and 256, Table 9 augmentation. Weights of the terms are those of the
    ImageNet-100 ablation; K = 8, batch 1024 and 100 epochs are ours.
Command: burn-tf pretrain --recipe msbreg_imagenet --data tfds:imagenet2012 --workdir DIR
Expected: no figure could be established: the paper's tables were not at hand. Not run by us.
"""

from burn_tf.recipes.base import Network, Optimizer, Recipe, Views
from burn_tf.recipes.options import MSBRegOptions

RECIPE = Recipe(
    name="msbreg_imagenet",
    method=MSBRegOptions(hidden_dim=2048, embedding_dim=256),
    backbone=Network("resnet50"),
    views=Views(policy="msbreg", num_views=8, image_size=224),
    optimizer=Optimizer(
        "lars", learning_rate=0.15, scale_rate=True, warmup_epochs=10, weight_decay=1e-5
    ),
    batch_size=1024,
    epochs=100,
    stages=("none",),
    precision="mixed_bfloat16",
)
