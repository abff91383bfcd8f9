"""Protocols that say how good features are: linear probes, neighbours, fine-tuning."""

from burn_tf.evaluation import feature_bank
from burn_tf.evaluation.average_precision import average_precision, mean_average_precision
from burn_tf.evaluation.detect import DetectionProbe
from burn_tf.evaluation.embedding import EmbeddingProbe, effective_rank, embedding_measures
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
from burn_tf.evaluation.segment import InstanceSegmentation
from burn_tf.evaluation.semi_supervised import SemiSupervised
from burn_tf.evaluation.statistics import Summary, summarise
from burn_tf.evaluation.svm import SVMProbe
from burn_tf.evaluation.transfer import TRANSFER_SETS, Transfer

__all__ = [
    "PROTOCOLS",
    "TRANSFER_SETS",
    "DetectionProbe",
    "EmbeddingProbe",
    "EvaluationData",
    "FastLinearProbe",
    "FeatureBank",
    "FrozenFeatures",
    "InstanceSegmentation",
    "KNNProbe",
    "LinearProbe",
    "Result",
    "SVMProbe",
    "SemiSupervised",
    "Summary",
    "Transfer",
    "average_precision",
    "check_protocols",
    "effective_rank",
    "embedding_measures",
    "extract_features",
    "feature_bank",
    "get_protocol",
    "mean_average_precision",
    "raw_pixels",
    "run_protocols",
    "summarise",
]
