"""Optimizers beside Keras' own, and the rule for variables exempt from decay."""

from burn_tf.optimizers.fused_adam import FusedAdam
from burn_tf.optimizers.lars import LARS
from burn_tf.optimizers.parameter_groups import is_exempt
from burn_tf.optimizers.steady_sgd import SteadySGD

__all__ = ["LARS", "FusedAdam", "SteadySGD", "is_exempt"]
