"""MSBReg on CIFAR-10: the float teacher of `burn_cifar10`, without labels.

Source: Moon et al., eqs. 3 to 6 and Table 9; backbone width, optimizer and length are ours, for
    CPUs.
Cost and result: see `burn_cifar10`.
"""

from burn_tf.recipes.base import Network, Optimizer, Recipe, Views
from burn_tf.recipes.options import MSBRegOptions

RECIPE = Recipe(
    name="msbreg_cifar10",
    method=MSBRegOptions(
        hidden_dim=512, embedding_dim=128, singular_value_weight=0.01, ema_base=0.95
    ),
    backbone=Network("resnet18", width=0.5, small_image_stem=True),
    views=Views(policy="cifar", num_views=2, image_size=32),
    optimizer=Optimizer("adam", learning_rate=1e-3, warmup_epochs=0.25),
    batch_size=64,
    epochs=6,
    stages=("none",),
    precision="mixed_bfloat16",
)
