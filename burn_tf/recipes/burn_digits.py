"""BURN on scikit-learn's digits from an MSBReg teacher: the recipe of `burn-tf demo`.

Source: Kim & Choi, CVPR 2022; sizes, rate and length are ours, for two CPU cores.
Cost: see README (demo). Expected: see README's table.
"""

from burn_tf.recipes.base import Network, Optimizer, Recipe, Teacher, Views
from burn_tf.recipes.options import BURNOptions

RECIPE = Recipe(
    name="burn_digits",
    method=BURNOptions(num_outputs=256, hidden_dim=256),
    backbone=Network("reactnet_a", width=0.25, stem_strides=1),
    views=Views(policy="digits", num_views=1, image_size=16),
    optimizer=Optimizer("adam", learning_rate=2e-3, warmup_epochs=1),
    batch_size=64,
    epochs=20,
    stages=("activations", "both"),
    teacher=Teacher(recipe="msbreg_digits"),
)
