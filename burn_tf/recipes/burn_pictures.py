"""BURN on a folder of pictures at 32 px, the recipe of `burn-tf demo --data` for all but digits.

Source: Kim & Choi, CVPR 2022; sizes, rate and length are ours, for a few minutes on two CPU cores.
Expected: nothing is promised for pictures we have not seen; more steps and larger images help.
"""

from burn_tf.recipes.base import Network, Optimizer, Recipe, Teacher, Views
from burn_tf.recipes.options import BURNOptions

RECIPE = Recipe(
    name="burn_pictures",
    method=BURNOptions(num_outputs=256, hidden_dim=256),
    backbone=Network("reactnet_a", width=0.25, stem_strides=1),
    views=Views(policy="cifar", num_views=1, image_size=32),
    optimizer=Optimizer("adam", learning_rate=2e-3, warmup_epochs=1),
    batch_size=64,
    epochs=100,
    max_steps=400,
    stages=("activations", "both"),
    teacher=Teacher(recipe="msbreg_pictures"),
)
