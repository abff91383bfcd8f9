"""S2-BNN (distillation) on ImageNet-100: ReActNet-A in two stages.

Source: Shen et al., CVPR 2021, as `s2bnn_imagenet`.
Departs from source: the teacher and its head are those of `msbreg_imagenet100`, which runs first.
Command: burn-tf pretrain --recipe s2bnn_imagenet100 --data DIR --workdir DIR
Expected: not reported for this data. Not run by us.
"""

import dataclasses

from burn_tf.recipes import s2bnn_imagenet
from burn_tf.recipes.base import Teacher

RECIPE = dataclasses.replace(
    s2bnn_imagenet.RECIPE,
    name="s2bnn_imagenet100",
    teacher=Teacher(recipe="msbreg_imagenet100"),
)
