"""Supervised pretraining with labels on scikit-learn's digits: a binary network in two stages.

Source: Liu et al., ReActNet, ECCV 2020, sec. 4.3; sizes, rate and length are ours, for two CPU
    cores. One view with the augmentation of the other digits recipes; labels in place of the
    paper's float classifier.
With a float classifier: --set method.targets=teacher and --set teacher.weights=FILE.keras, with
    --set teacher.head=FILE.keras where the classifier is a file of its own, as it is after this
    recipe with --set backbone.name=resnet18 --set backbone.width=0.25 --set stages=none.
Expected: not reported for this network and length.
"""

import dataclasses

from burn_tf.recipes.base import Teacher
from burn_tf.recipes.options import SupervisedOptions
from burn_tf.recipes.small import DIGITS

RECIPE = dataclasses.replace(
    DIGITS,
    name="supervised_digits",
    method=SupervisedOptions(),
    views=dataclasses.replace(DIGITS.views, num_views=1),
    teacher=Teacher(),
)
