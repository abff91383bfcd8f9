"""MSBReg on scikit-learn's digits: a small float teacher, without labels.

Source: Moon et al., eqs. 3 to 6; sizes, rate and length are ours, for two CPU cores.
Cost: see README (demo). Expected: see README's table; digits are easy, raw pixels do well too.
"""

from burn_tf.recipes.base import Network, Optimizer, Recipe, Views
from burn_tf.recipes.options import MSBRegOptions

RECIPE = Recipe(
    name="msbreg_digits",
    method=MSBRegOptions(hidden_dim=256, embedding_dim=64),
    backbone=Network("resnet18", width=0.25, small_image_stem=True),
    views=Views(policy="digits", num_views=2, image_size=16),
    optimizer=Optimizer("adam", learning_rate=1e-3, warmup_epochs=2, weight_decay=0.0),
    batch_size=64,
    epochs=30,
    stages=("none",),
)
