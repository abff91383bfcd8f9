"""Loss terms: one file each, with a pure function and a serialisable Keras loss that calls it."""

from burn_tf.losses.brownian import BrownianLoss, brownian, brownian_noise
from burn_tf.losses.centroid import CentroidLoss, centroid
from burn_tf.losses.feature_similarity import FeatureSimilarityLoss, feature_similarity
from burn_tf.losses.kl import KLDivergenceLoss, kl_divergence
from burn_tf.losses.singular_value import SingularValueLoss, singular_value

__all__ = [
    "BrownianLoss",
    "CentroidLoss",
    "FeatureSimilarityLoss",
    "KLDivergenceLoss",
    "SingularValueLoss",
    "brownian",
    "brownian_noise",
    "centroid",
    "feature_similarity",
    "kl_divergence",
    "singular_value",
]
