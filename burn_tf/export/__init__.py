"""From a trained Keras model to a file that a phone runs, with proof of what is in it."""

from burn_tf.export.folding import fold_shifts
from burn_tf.export.lce import LCEExport, to_lce
from burn_tf.export.parity import ParityReport, verify_lce
from burn_tf.export.report import ExportReport, LayerReport

__all__ = [
    "ExportReport",
    "LCEExport",
    "LayerReport",
    "ParityReport",
    "fold_shifts",
    "to_lce",
    "verify_lce",
]
