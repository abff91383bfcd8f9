"""Protocols that say how good features are: linear probes, neighbours, fine-tuning."""

from burn_tf.evaluation.fast_linear import FastLinearProbe
from burn_tf.evaluation.features import EvaluationData, extract_features, raw_pixels
from burn_tf.evaluation.knn import KNNProbe
from burn_tf.evaluation.linear import LinearProbe
from burn_tf.evaluation.protocols import PROTOCOLS, get_protocol
from burn_tf.evaluation.results import Result
from burn_tf.evaluation.semi_supervised import SemiSupervised

__all__ = [
    "PROTOCOLS",
    "EvaluationData",
    "FastLinearProbe",
    "KNNProbe",
    "LinearProbe",
    "Result",
    "SemiSupervised",
    "extract_features",
    "get_protocol",
    "raw_pixels",
]
