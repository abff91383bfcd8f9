"""BURN on CIFAR-10 (32 px): stage 1 and stage 2 from an MSBReg teacher trained on the same images.

Source: Kim & Choi, CVPR 2022; sizes, rate and length are ours, for CPUs.
Expected: 45.85 % linear top-1 (protocol linear:fast; untrained 29.40 %, teacher 46.14 %), measured
    by us on 2026-11-21 with this recipe: teacher 6 epochs, 2 epochs a stage. See the README's
    CIFAR-10 table.
"""

from burn_tf.recipes.base import Network, Optimizer, Recipe, Teacher, Views
from burn_tf.recipes.options import BURNOptions

RECIPE = Recipe(
    name="burn_cifar10",
    method=BURNOptions(num_outputs=512, hidden_dim=512),
    backbone=Network("reactnet_a", width=0.5, stem_strides=1),
    views=Views(policy="cifar", num_views=1, image_size=32),
    optimizer=Optimizer("adam", learning_rate=1e-3, warmup_epochs=0.25),
    batch_size=128,
    epochs=2,
    stages=("activations", "both"),
    teacher=Teacher(recipe="msbreg_cifar10"),
    precision="mixed_bfloat16",
)
