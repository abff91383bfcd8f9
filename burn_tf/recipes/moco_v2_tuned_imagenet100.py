"""MoCo v2 as S2-BNN tuned it: ImageNet-100, ReActNet-A, two stages.

Source: Shen et al., S2-BNN, CVPR 2021, as `moco_v2_tuned_imagenet`.
Departs from source: 16,384 keys, an eighth of the images, are ours.
Command: burn-tf pretrain --recipe moco_v2_tuned_imagenet100 --data DIR --workdir DIR
Expected: not reported for this data. Not run by us.
"""

import dataclasses

from burn_tf.recipes import moco_v2_tuned_imagenet
from burn_tf.recipes.options import MoCoV2Options

RECIPE = dataclasses.replace(
    moco_v2_tuned_imagenet.RECIPE,
    name="moco_v2_tuned_imagenet100",
    method=MoCoV2Options(hidden_dim=1024, queue_size=16_384),
)
