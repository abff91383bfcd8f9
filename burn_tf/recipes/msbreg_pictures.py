"""MSBReg on a folder of pictures at 32 px: the float teacher of `burn_pictures`, without labels.

Source: Moon et al., eqs. 3 to 6; sizes, rate and length are ours, for a few minutes on two CPU
    cores.
Expected: nothing is promised for pictures we have not seen; more steps and larger images help.
"""

from burn_tf.recipes.base import Network, Optimizer, Recipe, Views
from burn_tf.recipes.options import MSBRegOptions

RECIPE = Recipe(
    name="msbreg_pictures",
    method=MSBRegOptions(hidden_dim=256, embedding_dim=64),
    backbone=Network("resnet18", width=0.25, small_image_stem=True),
    views=Views(policy="cifar", num_views=2, image_size=32),
    optimizer=Optimizer("adam", learning_rate=1e-3, warmup_epochs=1),
    batch_size=64,
    epochs=100,
    max_steps=600,
    stages=("none",),
)
