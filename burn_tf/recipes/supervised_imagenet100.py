"""ReActNet-A on ImageNet-100 in two stages, with labels.

Source: Liu et al., ReActNet, ECCV 2020, as `supervised_imagenet`.
Departs from source: labels teach, since there is no float classifier of these classes; with one of
    your own, --set method.targets=teacher --set teacher.weights=FILE.keras.
Command: burn-tf pretrain --recipe supervised_imagenet100 --data DIR --workdir DIR
Expected: not reported for this data. Not run by us.
"""

import dataclasses

from burn_tf.recipes import supervised_imagenet
from burn_tf.recipes.options import SupervisedOptions

RECIPE = dataclasses.replace(
    supervised_imagenet.RECIPE,
    name="supervised_imagenet100",
    method=SupervisedOptions(targets="labels"),
)
