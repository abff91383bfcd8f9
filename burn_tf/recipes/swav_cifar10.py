"""SwAV on CIFAR-10 (32 px): a binary network in two stages.

Source: Caron et al., NeurIPS 2020, sec. 3; sizes, rate and length are ours, for CPUs. Fewer
    prototypes than a batch has images, in place of a queue; they stay as they are for the first 100
    updates of a stage (one epoch in the paper). No multi-crop. The authors' advice of an epsilon of
    0.03 where all images come to have one code.
Expected: not reported for this network and length.
"""

import dataclasses

from burn_tf.recipes.options import SwAVOptions
from burn_tf.recipes.small import CIFAR10

RECIPE = dataclasses.replace(
    CIFAR10,
    name="swav_cifar10",
    method=SwAVOptions(hidden_dim=512, num_prototypes=100, epsilon=0.03, frozen_steps=100),
)
