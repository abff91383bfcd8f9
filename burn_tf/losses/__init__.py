"""Loss terms: one file each, with a pure function and a serialisable Keras loss that calls it."""

from burn_tf.losses.barlow_twins import BarlowTwinsLoss, barlow_twins
from burn_tf.losses.brownian import BrownianLoss, brownian, brownian_noise
from burn_tf.losses.centroid import CentroidLoss, centroid
from burn_tf.losses.cross_entropy import SoftCrossEntropyLoss, soft_cross_entropy
from burn_tf.losses.feature_similarity import FeatureSimilarityLoss, feature_similarity
from burn_tf.losses.info_nce import info_nce
from burn_tf.losses.kl import KLDivergenceLoss, kl_divergence
from burn_tf.losses.nt_xent import NTXentLoss, nt_xent
from burn_tf.losses.singular_value import SingularValueLoss, singular_value
from burn_tf.losses.sinkhorn import sinkhorn
from burn_tf.losses.swapped_prediction import SwappedPredictionLoss, swapped_prediction
from burn_tf.losses.uniformity import AlignmentLoss, UniformityLoss, alignment, uniformity
from burn_tf.losses.vicreg import VICRegLoss, covariance, invariance, variance
from burn_tf.losses.whitening import whiten
from burn_tf.losses.wmse import WMSELoss, wmse

__all__ = [
    "AlignmentLoss",
    "BarlowTwinsLoss",
    "BrownianLoss",
    "CentroidLoss",
    "FeatureSimilarityLoss",
    "KLDivergenceLoss",
    "NTXentLoss",
    "SingularValueLoss",
    "SoftCrossEntropyLoss",
    "SwappedPredictionLoss",
    "UniformityLoss",
    "VICRegLoss",
    "WMSELoss",
    "alignment",
    "barlow_twins",
    "brownian",
    "brownian_noise",
    "centroid",
    "covariance",
    "feature_similarity",
    "info_nce",
    "invariance",
    "kl_divergence",
    "nt_xent",
    "singular_value",
    "sinkhorn",
    "soft_cross_entropy",
    "swapped_prediction",
    "uniformity",
    "variance",
    "whiten",
    "wmse",
]
