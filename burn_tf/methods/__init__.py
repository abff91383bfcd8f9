"""Self-supervised methods: Keras models that `fit` trains from views without labels."""

from burn_tf.methods.barlow_twins import BarlowTwins
from burn_tf.methods.base import SSLMethod, StepTerms
from burn_tf.methods.batch_sizes import BatchSizes
from burn_tf.methods.burn import BURN
from burn_tf.methods.byol import BYOL
from burn_tf.methods.ema import BiasCorrectedEMA, MovingAverage
from burn_tf.methods.infomin import InfoMin
from burn_tf.methods.jigsaw import jigsaw_pieces
from burn_tf.methods.joint_embedding import JointEmbedding
from burn_tf.methods.loss_scale import LossScale
from burn_tf.methods.micro_batches import BatchShare
from burn_tf.methods.moco_v2 import MoCoV2
from burn_tf.methods.momentum import MomentumMethod
from burn_tf.methods.msbreg import MSBReg
from burn_tf.methods.prototypes import Prototypes
from burn_tf.methods.queue import KeyQueue
from burn_tf.methods.regularizers import EmbeddingRegularizer
from burn_tf.methods.s2bnn import S2BNN
from burn_tf.methods.simclr_v2 import SimCLRV2
from burn_tf.methods.simsiam import SimSiam
from burn_tf.methods.stages import MultiStage, Stage, next_stage
from burn_tf.methods.supervised import Supervised
from burn_tf.methods.swav import SwAV
from burn_tf.methods.teacher import FrozenTeacher
from burn_tf.methods.update_figures import feature_deviation
from burn_tf.methods.vicreg import VICReg
from burn_tf.methods.wmse import WMSE

__all__ = [
    "BURN",
    "BYOL",
    "S2BNN",
    "WMSE",
    "BarlowTwins",
    "BatchShare",
    "BatchSizes",
    "BiasCorrectedEMA",
    "EmbeddingRegularizer",
    "FrozenTeacher",
    "InfoMin",
    "JointEmbedding",
    "KeyQueue",
    "LossScale",
    "MSBReg",
    "MoCoV2",
    "MomentumMethod",
    "MovingAverage",
    "MultiStage",
    "Prototypes",
    "SSLMethod",
    "SimCLRV2",
    "SimSiam",
    "Stage",
    "StepTerms",
    "Supervised",
    "SwAV",
    "VICReg",
    "feature_deviation",
    "jigsaw_pieces",
    "next_stage",
]
