"""MSBReg on ImageNet-100 with a ResNet-18.

Source: Moon et al., arXiv 2207.03552, ImageNet-100 ablation: lambda_s 4e-3, lambda_b 0.5, K = 4,
    LARS with base rate 0.4, 10 epochs of warm-up, weight decay 1e-5, Table 9 augmentation. Batch
    512 and 200 epochs are ours.
Command: burn-tf pretrain --recipe msbreg_imagenet100 --data DIR --workdir DIR
Expected: no figure could be established: the paper's tables were not at hand. Not run by us.
"""

from burn_tf.recipes.base import Network, Optimizer, Recipe, Views
from burn_tf.recipes.options import MSBRegOptions

RECIPE = Recipe(
    name="msbreg_imagenet100",
    method=MSBRegOptions(hidden_dim=512, embedding_dim=128),
    backbone=Network("resnet18"),
    views=Views(policy="msbreg", num_views=4, image_size=224),
    optimizer=Optimizer(
        "lars", learning_rate=0.4, scale_rate=True, warmup_epochs=10, weight_decay=1e-5
    ),
    batch_size=512,
    epochs=200,
    stages=("none",),
    precision="mixed_bfloat16",
)
