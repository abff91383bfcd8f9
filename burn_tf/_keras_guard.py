"""Selects Keras 2 before TensorFlow is imported, or says what to do when it is too late.

Larq is written against Keras 2. TensorFlow decides between Keras 2 and Keras 3 once, when it is
first imported, from the environment variable `TF_USE_LEGACY_KERAS`, which must be the string "1".
"""

from __future__ import annotations

import importlib.util
import os
import sys

CURE = (
    "Import burn_tf before tensorflow, or set the environment variable TF_USE_LEGACY_KERAS=1 "
    "before Python starts."
)


def select_legacy_keras() -> None:
    """Make `tf.keras` mean Keras 2 in this process.

    Raises:
        ImportError: if TensorFlow was imported with Keras 3 already, or `tf_keras` is missing.
    """
    if importlib.util.find_spec("tf_keras") is None:
        raise ImportError("burn_tf needs the package tf_keras. Run: pip install tf-keras")
    already_imported = "tensorflow" in sys.modules
    if not already_imported:
        os.environ["TF_USE_LEGACY_KERAS"] = "1"
        # TensorFlow's start-up lines about oneDNN and CPU features tell a user nothing.
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import tensorflow as tf

    if not tf.keras.Model.__module__.startswith("tf_keras."):
        why = (
            "TensorFlow was imported with Keras 3 before burn_tf"
            if already_imported
            else ("TensorFlow ignored TF_USE_LEGACY_KERAS")
        )
        raise ImportError(f"{why}, and Larq needs Keras 2. {CURE}")
