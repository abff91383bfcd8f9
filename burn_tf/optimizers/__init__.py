"""Optimizers beside Keras' own, and the rule for variables exempt from decay."""

from burn_tf.optimizers.fused_adam import FusedAdam
from burn_tf.optimizers.lars import LARS
from burn_tf.optimizers.parameter_groups import is_exempt

__all__ = ["LARS", "FusedAdam", "is_exempt"]
