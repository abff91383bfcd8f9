"""From a trained Keras model to a file that a phone runs, with proof of what is in it."""

from burn_tf.export.exported import ExportedModel
from burn_tf.export.folding import fold_shifts
from burn_tf.export.lce import to_lce
from burn_tf.export.litert import to_litert
from burn_tf.export.metadata import read_labels
from burn_tf.export.parity import ParityReport, verify
from burn_tf.export.report import ExportReport, LayerReport

__all__ = [
    "ExportReport",
    "ExportedModel",
    "LayerReport",
    "ParityReport",
    "fold_shifts",
    "read_labels",
    "to_lce",
    "to_litert",
    "verify",
]
