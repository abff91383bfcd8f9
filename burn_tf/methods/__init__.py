"""Self-supervised methods: Keras models that `fit` trains from views without labels."""

from burn_tf.methods.base import SSLMethod, StepTerms, feature_deviation
from burn_tf.methods.burn import BURN
from burn_tf.methods.byol import BYOL
from burn_tf.methods.ema import BiasCorrectedEMA
from burn_tf.methods.msbreg import MSBReg
from burn_tf.methods.regularizers import EmbeddingRegularizer
from burn_tf.methods.stages import MultiStage, Stage, next_stage

__all__ = [
    "BURN",
    "BYOL",
    "BiasCorrectedEMA",
    "EmbeddingRegularizer",
    "MSBReg",
    "MultiStage",
    "SSLMethod",
    "Stage",
    "StepTerms",
    "feature_deviation",
    "next_stage",
]
