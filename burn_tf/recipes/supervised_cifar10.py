"""Supervised pretraining with labels on CIFAR-10 (32 px): a binary network in two stages.

Source: Liu et al., ReActNet, ECCV 2020, sec. 4.3; sizes, rate and length are ours, for CPUs. One
    view with the augmentation of the other cifar10 recipes; labels in place of the paper's float
    classifier.
With a float classifier: --set method.targets=teacher and --set teacher.weights=FILE.keras, with
    --set teacher.head=FILE.keras where the classifier is a file of its own, as it is after this
    recipe with --set backbone.name=resnet18 --set stages=none.
Expected: not reported for this network and length.
"""

import dataclasses

from burn_tf.recipes.base import Teacher
from burn_tf.recipes.options import SupervisedOptions
from burn_tf.recipes.small import CIFAR10

RECIPE = dataclasses.replace(
    CIFAR10,
    name="supervised_cifar10",
    method=SupervisedOptions(),
    views=dataclasses.replace(CIFAR10.views, num_views=1),
    teacher=Teacher(),
)
