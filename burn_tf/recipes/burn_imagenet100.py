"""BURN on ImageNet-100: ReActNet-A in two stages.

Source: Kim & Choi, CVPR 2022, as `burn_paper`.
Departs from source: the teacher is that of `msbreg_imagenet100`, which runs first; batch 512, and
    with it a quarter of the rate.
Command: burn-tf pretrain --recipe burn_imagenet100 --data DIR --workdir DIR
Expected: not reported for this data. Not run by us.
"""

import dataclasses

from burn_tf.recipes import burn_paper
from burn_tf.recipes.base import Teacher

RECIPE = dataclasses.replace(
    burn_paper.RECIPE,
    name="burn_imagenet100",
    batch_size=512,
    optimizer=dataclasses.replace(burn_paper.RECIPE.optimizer, learning_rate=0.3 / 4),
    teacher=Teacher(recipe="msbreg_imagenet100"),
)
