"""The papers' analyses in small: each gives a table, curves and the numbers behind them."""

from burn_tf.analysis.collapse import collapse
from burn_tf.analysis.ema import moving_average
from burn_tf.analysis.embedding import effective_rank, embedding, embedding_measures
from burn_tf.analysis.feature_weight import feature_weight
from burn_tf.analysis.gradients import gradients
from burn_tf.analysis.record import Analysis

__all__ = [
    "Analysis",
    "collapse",
    "effective_rank",
    "embedding",
    "embedding_measures",
    "feature_weight",
    "gradients",
    "moving_average",
]
