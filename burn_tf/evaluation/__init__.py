"""Protocols that say how good features are: linear probes, neighbours, fine-tuning."""

from burn_tf.evaluation import feature_bank
from burn_tf.evaluation.fast_linear import FastLinearProbe
from burn_tf.evaluation.feature_bank import FeatureBank
from burn_tf.evaluation.features import EvaluationData, extract_features, raw_pixels
from burn_tf.evaluation.frozen import FrozenFeatures
from burn_tf.evaluation.knn import KNNProbe
from burn_tf.evaluation.linear import LinearProbe
from burn_tf.evaluation.protocols import (
    PROTOCOLS,
    check_protocols,
    get_protocol,
    run_protocols,
)
from burn_tf.evaluation.results import Result
from burn_tf.evaluation.semi_supervised import SemiSupervised

__all__ = [
    "PROTOCOLS",
    "EvaluationData",
    "FastLinearProbe",
    "FeatureBank",
    "FrozenFeatures",
    "KNNProbe",
    "LinearProbe",
    "Result",
    "SemiSupervised",
    "check_protocols",
    "extract_features",
    "feature_bank",
    "get_protocol",
    "raw_pixels",
    "run_protocols",
]
