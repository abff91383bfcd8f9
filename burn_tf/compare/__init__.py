"""Methods side by side: the same backbone, views, epochs, batch and optimizer for each of them."""

from burn_tf.compare.comparison import Comparison
from burn_tf.compare.entries import METHODS
from burn_tf.compare.presets import PRESETS
from burn_tf.compare.settings import Settings

__all__ = ["METHODS", "PRESETS", "Comparison", "Settings"]
