"""SwAV on scikit-learn's digits: a binary network in two stages.

Source: Caron et al., NeurIPS 2020, sec. 3; sizes, rate and length are ours, for two CPU cores.
    Fewer prototypes than a batch has images, in place of a queue; they stay as they are for the
    first 22 updates of a stage (one epoch in the paper). No multi-crop. The authors' advice of an
    epsilon of 0.03 where all images come to have one code.
Expected: not reported for this network and length.
"""

import dataclasses

from burn_tf.recipes.options import SwAVOptions
from burn_tf.recipes.small import DIGITS

RECIPE = dataclasses.replace(
    DIGITS,
    name="swav_digits",
    method=SwAVOptions(
        hidden_dim=256, embedding_dim=64, num_prototypes=32, epsilon=0.03, frozen_steps=22
    ),
)
